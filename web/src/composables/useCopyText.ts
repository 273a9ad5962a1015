/** Text into the clipboard, told in a short note. */
import { useI18n } from 'vue-i18n'
import { useToasts } from '@/components/ui'
import { writeText } from '@/lib/clipboard'

export function useCopyText(): (text: string) => Promise<void> {
  const { t } = useI18n()
  const { show } = useToasts()
  return async (text) => {
    const done = await writeText(text)
    show(t(done ? 'chat.act.copied' : 'chat.act.copyFailed'), done ? 'ok' : 'danger')
  }
}
