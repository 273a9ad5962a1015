/** What a reader asks for at a message, done. */
import { shallowRef } from 'vue'
import { useRouter } from 'vue-router'
import { requestOf } from '@/lib/asking'
import { handOver } from '@/lib/handover'
import { pathTo } from '@/lib/history/tree'
import { useConversations } from '@/stores/conversations'
import type { Attachment, ChatRequest } from '@/types'
import type { Act } from './acts'
import type { useChat } from './useChat'

export function useActs(chat: Pick<ReturnType<typeof useChat>, 'edit' | 'regenerate' | 'goOn' | 'unlock' | 'most'>) {
  const store = useConversations()
  const router = useRouter()
  const code = shallowRef<ChatRequest | null>(null) // shown as code
  const zoomed = shallowRef<{ attachments: Attachment[]; first: string } | null>(null) // shown large

  function act(what: Act): void {
    const asked = () => requestOf(pathTo(store.messages, what.id), chat.most.value)
    switch (what.do) {
      case 'regenerate':
        return void chat.regenerate(what.id)
      case 'continue':
        return void chat.goOn(what.id)
      case 'edit':
        return void chat.edit(what.id, what)
      case 'unlock':
        return void chat.unlock(what.id, what.password)
      case 'remove':
        return store.removeMessage(what.id)
      case 'show':
        return store.showBranch(what.id)
      case 'zoom':
        zoomed.value = { attachments: store.messages.get(what.id)?.attachments ?? [], first: what.picture }
        return
      case 'code':
        code.value = asked()
        return
      case 'compare': {
        const request = asked()
        if (request) handOver(request)
        return void router.push({ name: 'compare' })
      }
    }
  }

  return { act, code, zoomed }
}
