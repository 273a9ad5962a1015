import { inject, ref } from 'vue'
import { useWhyWords } from '@/composables/useWhyWords'
import { WHY_NOT } from './acts'

/** Why nothing can be asked now, and that in words. */
export function useWhyNot() {
  const whyNot = inject(WHY_NOT, ref(null))
  return { whyNot, words: useWhyWords(() => whyNot.value) }
}
