/** What is being written, kept per conversation: another one may be looked at meanwhile, or the page reloaded. */
import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { useConversations } from '@/stores/conversations'
import type { Attachment } from '@/types'

const KEEP_AFTER_MS = 400

export function useDraft(key: Readonly<Ref<string>>) {
  const store = useConversations()
  const text = ref('')
  const attachments = shallowRef<Attachment[]>([])
  let timer: ReturnType<typeof setTimeout> | undefined
  let read = '' // the key whose draft is shown; until it is read nothing is kept

  function keep(): void {
    clearTimeout(timer)
    if (read) void store.keepDraft(read, text.value, attachments.value)
  }

  watch(key, async (now) => {
    keep()
    read = ''
    text.value = ''
    attachments.value = []
    const draft = await store.draft(now)
    if (key.value !== now) return
    read = now
    // What was written or added meanwhile goes on from there.
    text.value = draft.text + text.value
    attachments.value = [...draft.attachments, ...attachments.value]
  }, { immediate: true, flush: 'sync' })

  watch([text, attachments], () => {
    clearTimeout(timer)
    timer = setTimeout(keep, KEEP_AFTER_MS)
  })
  addEventListener('pagehide', keep)
  onScopeDispose(() => {
    removeEventListener('pagehide', keep)
    keep()
  })

  /** Empties the draft and gives what was in it. */
  function take(): { text: string; attachments: Attachment[] } {
    const taken = { text: text.value, attachments: attachments.value }
    text.value = ''
    attachments.value = []
    keep()
    return taken
  }

  return { text, attachments, take }
}
