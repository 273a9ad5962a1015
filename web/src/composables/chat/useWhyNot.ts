import { computed, inject, ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { WHY_NOT } from './acts'

/** Why nothing can be asked now, and that in words. */
export function useWhyNot() {
  const { t } = useI18n()
  const whyNot = inject(WHY_NOT, ref(null))
  return { whyNot, words: computed(() => (whyNot.value === null ? undefined : t(`composer.why.${whyNot.value}`))) }
}
