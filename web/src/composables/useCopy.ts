import { useI18n } from 'vue-i18n'
import { useToasts } from '@/composables/useToasts'
import { writeText } from '@/lib/clipboard'

/** Text into the clipboard, and a short note about how that went. */
export function useCopy(): (text: string) => Promise<void> {
  const { t } = useI18n()
  const { show } = useToasts()
  return async (text) => {
    const done = await writeText(text)
    show(t(done ? 'shell.copied' : 'shell.notCopied'), done ? 'ok' : 'warn')
  }
}
