import { useI18n } from 'vue-i18n'
import { useToasts } from '@/components/ui'

/** To the clipboard, and a word about it. Over plain http to another machine browsers have no clipboard for pages. */
export function useCopy() {
  const { show } = useToasts()
  const { t } = useI18n()

  async function copy(text: string, done: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text)
      show(done, 'ok')
    } catch {
      show(t('operator.details.notCopied'), 'warn')
    }
  }
  return { copy }
}
