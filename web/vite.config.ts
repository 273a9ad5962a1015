import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [vue()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    outDir: fileURLToPath(new URL('../src/flashweb/page', import.meta.url)),
    emptyOutDir: true,
    assetsDir: 'assets',
    target: 'es2022',
    assetsInlineLimit: 0, // the policy forbids data: scripts, styles and fonts
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: { proxy: Object.fromEntries(['/v1', '/api', '/health', '/metrics', '/tokenize', '/static', '/openapi.json'].map((path) => [path, 'http://127.0.0.1:8080'])) },
  test: { environment: 'happy-dom', include: ['src/**/*.spec.ts'] },
})
