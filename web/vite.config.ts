import { readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'
import { oneLanguage, sourceDigest, textPacked, woff2Only } from './tools/plugins.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const server = process.env.FLASHWEB_SERVER ?? 'http://127.0.0.1:8080' // behind `npm run dev`

/** src/theme-start.js as a classic script in the head: it must run before the first paint, and modules run after it. */
function themeStart(): Plugin {
  let build = false
  return {
    name: 'theme-start',
    configResolved(config) {
      build = config.command === 'build'
    },
    buildStart() {
      if (build) this.emitFile({ type: 'asset', name: 'theme-start.js', source: readFileSync(here('./src/theme-start.js')) })
    },
    transformIndexHtml: {
      order: 'post',
      handler(_html, context) {
        const built = Object.keys(context.bundle ?? {}).find((name) => /(^|\/)theme-start-[^/]*\.js$/.test(name))
        if (build && !built) throw new Error('theme-start.js was not written')
        return [{ tag: 'script', attrs: { src: built ? `/${built}` : '/src/theme-start.js' }, injectTo: 'head-prepend' }]
      },
    },
  }
}

export default defineConfig({
  plugins: [vue(), themeStart(), oneLanguage(), woff2Only(), sourceDigest(here('.')), textPacked()],
  resolve: { alias: { '@': here('./src') } },
  define: {
    __VUE_I18N_LEGACY_API__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    outDir: here('../src/flashweb/page'),
    emptyOutDir: true,
    assetsDir: 'assets',
    target: 'es2022',
    assetsInlineLimit: 0, // the policy forbids data: scripts, styles and fonts
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/api', '/health', '/metrics', '/tokenize', '/static', '/samples', '/docs', '/openapi.json'].map((path) => [path, server]),
    ),
  },
})
