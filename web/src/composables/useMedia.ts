/** Whether a media query holds, as a ref. */
import { onScopeDispose, ref, type Ref } from 'vue'

export function useMedia(query: string): Readonly<Ref<boolean>> {
  const list = typeof matchMedia === 'undefined' ? null : matchMedia(query)
  const holds = ref(list?.matches ?? false)
  const look = () => (holds.value = list!.matches)
  list?.addEventListener('change', look)
  onScopeDispose(() => list?.removeEventListener('change', look))
  return holds
}
