/** What an answer had grown to when its page was closed. IndexedDB cannot be waited for at that moment, and what it was given
 * last is up to a second old; this is written at once, and found by the next page. */
import { isRecord } from '@/lib/record'
import { readJson, write } from '@/lib/stored'
import type { Message } from '@/types'

type Tail = Pick<Message, 'text' | 'thinking' | 'thinkingMs'>

const NAME = 'tails'

function read(): Record<string, Tail> {
  const kept = readJson('browser', NAME)
  return isRecord(kept) ? (kept as Record<string, Tail>) : {}
}

function keep(tails: Record<string, Tail>): void {
  write('browser', NAME, Object.keys(tails).length > 0 ? JSON.stringify(tails) : null)
}

export function leaveTail({ id, text, thinking, thinkingMs }: Message): void {
  keep({ ...read(), [id]: { text, thinking, thinkingMs } })
}

export function dropTail(id: string): void {
  const { [id]: gone, ...others } = read()
  if (gone) keep(others)
}

/** The message with what was left of it; undefined when nothing was, or less than it has. */
export function withTail(message: Message): Message | undefined {
  const tail = message.finish === undefined ? read()[message.id] : undefined
  if (typeof tail?.text !== 'string') return undefined
  const { text, thinking, thinkingMs } = tail
  const grown = text.length + (thinking?.length ?? 0) > message.text.length + (message.thinking?.length ?? 0)
  if (!grown) return undefined
  return { ...message, text, ...(typeof thinking === 'string' ? { thinking, thinkingMs: thinkingMs ?? 0 } : {}) }
}
