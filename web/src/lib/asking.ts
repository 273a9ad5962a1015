/** From a path of messages to the request that is asked about it, and back. Pure. */
import type { Attachment, ChatRequest, Conversation, Message, Sampling, Turn } from '@/types'

export interface Settings {
  model: string | null
  sampling: Sampling
  thinking: boolean
}

/** The request whose answer comes below the last message of `path`; `most`: messages that the server takes. */
export function requestFor({ systemPrompt }: Pick<Conversation, 'systemPrompt'>, path: readonly Message[], settings: Settings, most: number): ChatRequest {
  return {
    ...(settings.model ? { model: settings.model } : {}),
    systemPrompt,
    turns: turnsFor(path, systemPrompt, most),
    sampling: { ...settings.sampling },
    thinking: settings.thinking,
  }
}

/** The request that lets the last message of `path`, an answer, go on. What cut it may have been its longest length, which the
 * reader has changed since; all else stays as it was asked. */
export function requestToGoOn(conversation: Pick<Conversation, 'systemPrompt'>, path: readonly Message[], settings: Settings, most: number): ChatRequest {
  const asked = path[path.length - 1]?.request ?? requestFor(conversation, path, settings, most)
  return {
    ...asked,
    turns: turnsFor(path, asked.systemPrompt, most),
    sampling: { ...asked.sampling, max_tokens: settings.sampling.max_tokens },
    thinking: false,
    continueFinal: true,
  }
}

/** As many of the newest turns as the server takes beside the system prompt; the first of them is a question. */
function turnsFor(path: readonly Message[], systemPrompt: string, most: number): Turn[] {
  const turns = turnsOf(path)
  const room = most - (systemPrompt.trim() ? 1 : 0)
  if (turns.length <= room) return turns
  const newest = turns.slice(-room)
  return newest.slice(Math.max(0, newest.findIndex(({ role }) => role === 'user')))
}

/** How many turns of `path` a question below it would leave behind. */
export function leftOut(path: readonly Message[], systemPrompt: string, most: number): number {
  const asked = [...path, QUESTION]
  return turnsOf(asked).length - turnsFor(asked, systemPrompt, most).length
}

const QUESTION: Message = { id: '', conversationId: '', parentId: null, role: 'user', text: '', attachments: [], createdAt: 0 }

/** Answers that hold nothing (failed, stopped before their first word) are no turns. */
function turnsOf(path: readonly Message[]): Turn[] {
  return path
    .filter((message) => message.role === 'user' || message.text.trim() !== '')
    .map(({ role, text, attachments }) => ({ role, text, attachments: role === 'user' ? attachments : [] }))
}

/** What an answer keeps of its request. The turns are the path above it, which never changes: stored once, not once more
 * under every answer. */
export function keptRequest(request: ChatRequest): ChatRequest {
  return { ...request, turns: [] }
}

/** The request that made `path`'s last message, whole again. */
export function requestOf(path: readonly Message[], most: number): ChatRequest | null {
  const answer = path[path.length - 1]
  if (!answer?.request) return null
  const { continueFinal: _, ...request } = answer.request
  return { ...request, turns: turnsFor(path.slice(0, -1), request.systemPrompt, most) }
}

const TITLE_CHARS = 60

/** A title from a question: its first line, else the names of its files; empty where there is neither. */
export function titleFrom(text: string, attachments: readonly Attachment[]): string {
  const line = text.trim().split('\n', 1)[0]!.trim()
  const title = line || attachments.map(({ name }) => name).join(', ')
  const characters = [...title]
  return characters.length > TITLE_CHARS ? `${characters.slice(0, TITLE_CHARS - 1).join('')}…` : title
}

/** Tokens of the context that a path takes, by the newest answer that tells them. */
export function tokensUsed(path: readonly Message[]): number {
  const stats = path.findLast((message) => message.stats?.promptTokens)?.stats
  return (stats?.promptTokens ?? 0) + (stats?.completionTokens ?? 0)
}

/** May the answer go on where it ended? Without a text there is nothing to go on with. */
export function canContinue(message: Message): boolean {
  return message.role === 'assistant' && message.text.trim() !== '' && message.finish !== 'stop' && message.finish !== 'content_filter' && message.finish !== 'tool_calls'
}

/** The attachments that an answer is about: those of the nearest question above it that has a picture. Always the list
 * itself, so that whoever remembers what it made of one finds it again. */
export function picturesOf(path: readonly Message[], messageId: string | null): readonly Attachment[] {
  let at = messageId === null ? path.length - 1 : path.findIndex(({ id }) => id === messageId)
  for (; at >= 0; at--) {
    const { attachments } = path[at]!
    if (attachments.some(({ kind, blob }) => kind === 'image' && blob)) return attachments
  }
  return NONE
}

const NONE: readonly Attachment[] = []
