/** A long list is put together from its end: the last ones at once, the earlier ones while the browser has nothing to do. */
import { computed, onScopeDispose, ref, watch } from 'vue'

// Safari has no idle callbacks.
const whenIdle = (work: () => void): number =>
  typeof requestIdleCallback === 'undefined' ? window.setTimeout(work, 50) : requestIdleCallback(work, { timeout: 500 })
const forget = (id: number): void => (typeof cancelIdleCallback === 'undefined' ? clearTimeout(id) : cancelIdleCallback(id))

export function useGradual<T>(items: () => readonly T[], atOnce: number) {
  const shown = ref(atOnce)
  let waiting = 0

  function more(): void {
    waiting = 0
    shown.value++
    ask()
  }

  function ask(): void {
    if (!waiting && shown.value < items().length) waiting = whenIdle(more)
  }

  watch(() => items().length, ask, { immediate: true })
  onScopeDispose(() => forget(waiting))
  return computed(() => (shown.value >= items().length ? items() : items().slice(-shown.value)))
}
