import { computed } from 'vue'
import { useI18n } from 'vue-i18n'

/** A reason that nothing can be asked now, a key below `composer.why`, in words. */
export function useWhyWords(why: () => string | null) {
  const { t } = useI18n()
  return computed(() => {
    const key = why()
    return key === null ? undefined : t(`composer.why.${key}`)
  })
}
