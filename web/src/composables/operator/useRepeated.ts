import { onScopeDispose, watch, type WatchSource } from 'vue'

/**
 * Does something now and again, `ms` after it was done: a slow server is not asked faster than it answers. Only while
 * `wanted` says so and the page is seen.
 */
export function useRepeated(work: () => Promise<void>, ms: number, wanted: WatchSource<boolean> = () => true): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let isWanted = false
  let isBusy = false

  async function turn(): Promise<void> {
    clearTimeout(timer)
    if (!isWanted || isBusy || document.visibilityState === 'hidden') return
    isBusy = true
    try {
      await work()
    } finally {
      isBusy = false
      if (isWanted) timer = setTimeout(turn, ms)
    }
  }

  const stop = watch(wanted, (now) => {
    isWanted = now
    if (now) void turn()
    else clearTimeout(timer)
  }, { immediate: true })
  const seen = () => void turn()
  document.addEventListener('visibilitychange', seen)
  onScopeDispose(() => {
    stop()
    isWanted = false
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', seen)
  })
}
