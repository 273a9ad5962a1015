/** Answers without an end: made by another tab at this moment, or left behind by a page that was closed. */
import { onScopeDispose, shallowReactive } from 'vue'
import { hearTabs } from '@/lib/history/tabs'
import { useConversations } from '@/stores/conversations'
import type { Message } from '@/types'

const SILENCE_MS = 4000 // a tab tells every second that it writes
const REFRESH_MS = 300

export function useResumable() {
  const store = useConversations()
  const elsewhere = shallowReactive(new Set<string>())
  const silences = new Map<string, ReturnType<typeof setTimeout>>()
  let refreshing: ReturnType<typeof setTimeout> | undefined

  function heard(messageId: string): void {
    elsewhere.add(messageId)
    clearTimeout(silences.get(messageId))
    silences.set(messageId, setTimeout(() => elsewhere.delete(messageId), SILENCE_MS))
  }

  const end = hearTabs(({ conversationId, answering }) => {
    if (answering !== undefined) return heard(answering)
    clearTimeout(refreshing)
    refreshing = setTimeout(() => void store.refresh(conversationId), REFRESH_MS)
  })

  onScopeDispose(() => {
    end()
    clearTimeout(refreshing)
    for (const timer of silences.values()) clearTimeout(timer)
  })

  /** 'live' is told by who streams it; this tells the rest. */
  function stateOf(message: Message): 'done' | 'elsewhere' | 'interrupted' {
    if (message.role === 'user' || message.finish !== undefined) return 'done'
    return elsewhere.has(message.id) ? 'elsewhere' : 'interrupted'
  }

  return { stateOf, elsewhere }
}
