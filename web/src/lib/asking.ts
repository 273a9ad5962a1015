/** From a path of messages to the request that is asked about it, and back. Pure. */
import type { Attachment, ChatRequest, Conversation, Message, Sampling, Turn } from '@/types'

export interface Settings {
  model: string | null
  sampling: Sampling
  thinking: boolean
}

/** The request whose answer comes below the last message of `path`. */
export function requestFor(conversation: Pick<Conversation, 'systemPrompt'>, path: readonly Message[], settings: Settings): ChatRequest {
  return {
    ...(settings.model ? { model: settings.model } : {}),
    systemPrompt: conversation.systemPrompt,
    turns: turnsOf(path),
    sampling: { ...settings.sampling },
    thinking: settings.thinking,
  }
}

/** Answers that hold nothing (failed, stopped before their first word) are no turns. */
export function turnsOf(path: readonly Message[]): Turn[] {
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
export function requestOf(path: readonly Message[]): ChatRequest | null {
  const answer = path[path.length - 1]
  if (!answer?.request) return null
  const { continueFinal: _, ...request } = answer.request
  return { ...request, turns: turnsOf(path.slice(0, -1)) }
}

const TITLE_CHARS = 60

/** A title from a question: its first line, else the names of its files; empty where there is neither. */
export function titleFrom(text: string, attachments: readonly Attachment[]): string {
  const line = text.trim().split('\n', 1)[0]!.trim()
  const title = line || attachments.map(({ name }) => name).join(', ')
  const characters = [...title]
  return characters.length > TITLE_CHARS ? `${characters.slice(0, TITLE_CHARS - 1).join('')}…` : title
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
