/** How tests run. `lib/` is pure, so its tests share a window per worker, which takes a fraction of the time; what holds
 * state, timers or replaced modules gets a window of its own for each file. */
import { defineConfig, mergeConfig } from 'vitest/config'
import page from './vite.config.ts'

const common = {
  environment: 'happy-dom',
  setupFiles: ['fake-indexeddb/auto'], // before Dexie looks for it
  pool: 'threads' as const,
  testTimeout: 20_000, // machines that do much else are slow, not wrong
}
const PURE = 'src/lib/**/*.spec.ts'

export default mergeConfig(
  page,
  defineConfig({
    test: {
      projects: [
        { extends: true, test: { ...common, name: 'lib', include: [PURE], isolate: false } },
        { extends: true, test: { ...common, name: 'page', include: ['src/**/*.spec.ts'], exclude: [PURE] } },
      ],
    },
  }),
)
