/** What a screen reader is told when an answer has ended: once, not with every token. */
import { ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { useConversations } from '@/stores/conversations'
import type { Message } from '@/types'

const MOST_CHARS = 400

export function useSaid() {
  const store = useConversations()
  const { t } = useI18n()
  const said = ref('')

  function tell(answer: Message): void {
    if (answer.conversationId !== store.currentId) return
    if (answer.finish === 'error') said.value = t('chat.said.failed')
    else if (answer.finish === 'stopped') said.value = t('chat.said.stopped')
    else said.value = t('chat.said.finished', { text: answer.text.slice(0, MOST_CHARS) })
  }

  return { said, tell }
}
