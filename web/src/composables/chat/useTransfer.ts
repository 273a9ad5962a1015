/** Conversations to files and back. */
import { useI18n } from 'vue-i18n'
import { useToasts } from '@/composables/useToasts'
import { download } from '@/lib/csv'
import { fileNameFrom, toHtml, toJson, toMarkdown, type ExportWords, type Kept } from '@/lib/history/exporting'
import { ImportError, readExport } from '@/lib/history/importing'
import { reasonOf } from '@/lib/reason'
import { useConversations } from '@/stores/conversations'

export type ExportFormat = 'markdown' | 'json' | 'html'

export function useTransfer() {
  const store = useConversations()
  const { t, locale } = useI18n()
  const { show } = useToasts()

  const words = (): ExportWords => ({
    user: t('chat.file.user'),
    assistant: t('chat.file.assistant'),
    thinking: t('chat.file.thinking'),
    system: t('chat.file.system'),
    made: t('chat.file.made'),
    untitled: t('chat.untitled'),
    language: locale.value,
    markdown: { copy: '', code: t('markdown.code'), table: t('markdown.table'), done: t('markdown.done'), open: t('markdown.open') },
  })

  async function guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      show(t('chat.export.failed', { reason: reasonOf(error) }), 'danger')
    }
  }

  const exportOne = (id: string, format: ExportFormat) =>
    guarded(async () => {
      const kept = await store.snapshot(id)
      if (!kept) return
      const name = (extension: string) => fileNameFrom(kept.conversation.title, extension)
      if (format === 'markdown') download(name('md'), toMarkdown(kept, words()))
      else if (format === 'html') download(name('html'), await toHtml(kept, words()))
      else download(name('json'), await toJson([kept]))
    })

  const exportAll = () =>
    guarded(async () => {
      const all: Kept[] = []
      for (const { id } of store.list) {
        const kept = await store.snapshot(id)
        if (kept) all.push(kept)
      }
      download(fileNameFrom('flashweb', 'json'), await toJson(all))
    })

  async function importFile(file: Blob): Promise<void> {
    try {
      const kept = await readExport(file)
      const saved = await store.addSnapshots(kept)
      show(saved ? t('chat.import.done', kept.length) : t('chat.import.notSaved'), saved ? 'ok' : 'warn')
    } catch (error) {
      if (!(error instanceof ImportError)) throw error
      show(t(`chat.import.${error.problem}`, error.values), 'danger')
    }
  }

  return { exportOne, exportAll, importFile }
}
