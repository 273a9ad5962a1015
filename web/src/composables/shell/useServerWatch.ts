import { onScopeDispose, watch } from 'vue'
import { useServer, type ServerState } from '@/stores/server'

const CALM_MS = 30_000
const EAGER_MS = 2_000
const LOST_MS = 15_000 // a server that stays away is asked more and more seldom, up to this

/** How long to wait before the server is looked at again. `misses`: looks in a row that found nobody. */
export function pauseFor(state: ServerState, misses: number): number {
  if (state === 'ready' || state === 'key-needed') return CALM_MS
  if (state === 'unreachable') return Math.min(LOST_MS, EAGER_MS * 1.5 ** Math.max(0, misses - 1))
  return EAGER_MS
}

/** Looks at the server now and then: often while it is not ready, never while nobody sees this page. For the root of the page. */
export function useServerWatch(): void {
  const server = useServer()
  let timer: ReturnType<typeof setTimeout> | undefined
  let misses = 0
  let stopped = false

  async function look(): Promise<void> {
    clearTimeout(timer)
    await server.check()
    misses = server.state === 'unreachable' ? misses + 1 : 0
    plan()
  }

  function plan(): void {
    clearTimeout(timer)
    if (!stopped && !document.hidden) timer = setTimeout(look, pauseFor(server.state, misses))
  }

  const seen = () => (document.hidden ? clearTimeout(timer) : void look())
  document.addEventListener('visibilitychange', seen)
  addEventListener('online', look)
  watch(() => server.state, plan) // a failed request may have looked in between
  onScopeDispose(() => {
    stopped = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', seen)
    removeEventListener('online', look)
  })
  void look()
}
