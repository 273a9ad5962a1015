import { onScopeDispose, ref, watch } from 'vue'

/** Whole seconds until a moment (ms since 1970), counted down to 0; 0 where there is none. */
export function useWait(until: () => number | undefined) {
  const seconds = ref(0)
  let timer: ReturnType<typeof setTimeout> | undefined

  function count(): void {
    clearTimeout(timer)
    const left = (until() ?? 0) - Date.now()
    seconds.value = Math.max(0, Math.ceil(left / 1000))
    if (left > 0) timer = setTimeout(count, left % 1000 || 1000)
  }

  watch(until, count, { immediate: true })
  onScopeDispose(() => clearTimeout(timer))
  return seconds
}
