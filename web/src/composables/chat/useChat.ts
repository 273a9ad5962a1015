/** What can be done in the conversation at hand: ask, ask again, ask otherwise, go on, stop. Nothing is asked while `whyNot`
 * says why not, whichever way it is asked for. */
import { computed } from 'vue'
import { keptRequest, leftOut, requestFor, requestToGoOn, titleFrom } from '@/lib/asking'
import { newId } from '@/lib/history/db'
import { pathTo } from '@/lib/history/tree'
import { USUAL } from '@/lib/limits'
import { isPdf } from '@/lib/pictures/fileTypes'
import { useConversations } from '@/stores/conversations'
import { useServer } from '@/stores/server'
import { useSettings } from '@/stores/settings'
import type { Attachment, ChatRequest, Conversation, Message, Role } from '@/types'
import { useAnswering } from './useAnswering'

export interface Question {
  text: string
  attachments: Attachment[]
}

/** `told` hears every answer that has ended, whichever way. */
export function useChat(told: (answer: Message) => void = () => undefined) {
  const store = useConversations()
  const settings = useSettings()
  const server = useServer()
  const answering = useAnswering()
  const live = computed(() => (store.currentId === null ? null : (answering.live.get(store.currentId) ?? null)))
  const busy = computed(() => live.value !== null)
  /** A key below `composer.why`. */
  const whyNot = computed(() => server.whyNot ?? (busy.value ? 'busy' : null))
  const most = computed(() => (server.limits ?? USUAL).messages)
  const unsent = computed(() => leftOut(store.path, store.current?.systemPrompt ?? '', most.value))

  /** Asks in the current conversation, or in a new one that is then the current one. */
  async function send(question: Question, systemPrompt = settings.defaultSystemPrompt): Promise<void> {
    if (whyNot.value !== null) return
    const title = titleFrom(question.text, question.attachments)
    const conversation = store.current ?? store.create({ title, systemPrompt })
    if (!conversation.titleIsOwn && store.path.length === 0) store.patch(conversation.id, { title })
    await ask(conversation, store.path, question)
  }

  async function edit(questionId: string, question: Question): Promise<void> {
    if (whyNot.value !== null) return
    const before = store.messages.get(questionId)
    if (store.current && before) await ask(store.current, pathTo(store.messages, before.parentId), question)
  }

  async function ask(conversation: Conversation, above: readonly Message[], { text, attachments }: Question): Promise<void> {
    const question = { ...blank(conversation.id, above[above.length - 1]?.id ?? null, 'user'), text, attachments }
    await answerTo(conversation, [...above, question], [question])
  }

  async function regenerate(answerId: string): Promise<void> {
    if (whyNot.value !== null) return
    const before = store.messages.get(answerId)
    if (store.current && before) await answerTo(store.current, pathTo(store.messages, before.parentId), [])
  }

  async function answerTo(conversation: Conversation, path: readonly Message[], fresh: readonly Message[]): Promise<void> {
    const request = requestFor(conversation, path, settings, most.value)
    const message = { ...blank(conversation.id, path[path.length - 1]?.id ?? null, 'assistant'), request: keptRequest(request) }
    store.add(conversation.id, [...fresh, message])
    await run(request, message)
  }

  /** Goes on in the same message. */
  async function goOn(answerId: string): Promise<void> {
    const message = store.messages.get(answerId)
    if (whyNot.value !== null || !store.current || !message) return
    await run(requestToGoOn(store.current, pathTo(store.messages, answerId), settings, most.value), message)
  }

  async function run(request: ChatRequest, message: Message): Promise<void> {
    told(await answering.answer({ request, message, save: store.save }))
  }

  /** Asks again, with the password of the PDFs above; it stays in memory. */
  async function unlock(answerId: string, password: string): Promise<void> {
    if (whyNot.value !== null) return
    for (const message of pathTo(store.messages, answerId)) {
      if (message.attachments.some(isPdf)) void store.save({ ...message, attachments: message.attachments.map((file) => (isPdf(file) ? { ...file, password } : file)) })
    }
    await regenerate(answerId)
  }

  function stop(): void {
    if (store.currentId !== null) answering.stop(store.currentId)
  }

  return { live, busy, whyNot, most, unsent, send, edit, regenerate, goOn, unlock, stop }
}

let last = 0

/** Never the same moment twice, so that a question is older than its answer. */
function blank(conversationId: string, parentId: string | null, role: Role): Message {
  last = Math.max(Date.now(), last + 1)
  return { id: newId(), conversationId, parentId, role, text: '', attachments: [], createdAt: last }
}
