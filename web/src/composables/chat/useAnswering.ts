/** Answers that are being made, one a conversation at most. They belong to the page, not to a view: they go on while
 * another conversation or page is looked at. */
import { shallowReactive } from 'vue'
import { makeAnswer } from '@/composables/answers/makeAnswer'
import { tellTabs } from '@/lib/history/tabs'
import { dropTail, leaveTail } from '@/lib/history/tails'
import type { Answer, ChatRequest, Message, RunStats } from '@/types'

const SAVE_EVERY_MS = 1000

export interface Answering {
  request: ChatRequest
  message: Message // where the answer goes; its text is gone on with
  /** False: the message is gone, so nobody wants the rest. */
  save: (message: Message) => Promise<boolean>
}

const live = shallowReactive(new Map<string, Message>()) // by conversation
const aborts = new Map<string, AbortController>()

export function useAnswering() {
  return { live, answer, stop }
}

function stop(conversationId: string): void {
  aborts.get(conversationId)?.abort()
}

/** Resolves with the finished message, once it is saved. Never throws: what went wrong stands in the message. */
async function answer({ request, message, save }: Answering): Promise<Message> {
  const key = message.conversationId
  stop(key)
  const abort = new AbortController()
  aborts.set(key, abort)
  const growing: Answer = { text: message.text, thinking: message.thinking ?? '', thinkingMs: message.thinkingMs ?? 0 }
  const grown = () => withAnswer(message, growing)
  const show = () => {
    if (aborts.get(key) === abort) live.set(key, grown())
  }
  let saved = -1 // characters; at first it is not known whether the message is there at all
  const keep = () => {
    tellTabs({ conversationId: key, answering: message.id })
    const size = growing.text.length + growing.thinking.length
    if (size !== saved) void save(grown()).then((wanted) => wanted || abort.abort())
    saved = size
  }
  const timer = setInterval(keep, SAVE_EVERY_MS)
  const leave = () => {
    leaveTail(grown())
    keep()
  }
  addEventListener('pagehide', leave)
  show()
  await makeAnswer(growing, request, abort.signal, show)
  clearInterval(timer)
  removeEventListener('pagehide', leave)
  const whole = grown()
  leaveTail(whole) // a page that is being closed loses its connection first, and may not live to see it saved
  const saving = save(whole) // into memory at once, so that nothing flickers when the live one goes
  if (aborts.get(key) === abort) {
    aborts.delete(key)
    live.delete(key)
  }
  await saving
  dropTail(message.id)
  return whole
}

/** A message with the answer as far as it is; how it ended before is over. */
function withAnswer({ finish: _finish, failure: _failure, ...start }: Message, answer: Answer): Message {
  const { text, thinking, thinkingMs, finish, failure, stats } = answer
  return {
    ...start,
    text,
    ...(thinking && { thinking, thinkingMs }),
    ...(finish && { finish }),
    ...(failure && { failure }),
    ...(stats && { stats: joined(start.stats, stats) }),
  }
}

/** An answer that was gone on with took the time and the tokens of both parts. */
export function joined(before: RunStats | undefined, now: RunStats): RunStats {
  if (!before) return now
  const sum = (one?: number, other?: number) => (one === undefined && other === undefined ? undefined : (one ?? 0) + (other ?? 0))
  return {
    ...now,
    firstTokenMs: before.firstTokenMs ?? now.firstTokenMs,
    totalMs: sum(before.totalMs, now.totalMs),
    completionTokens: sum(before.completionTokens, now.completionTokens),
    // The second prompt holds the first part of the answer: counted there already.
    promptTokens: before.promptTokens ?? now.promptTokens,
  }
}
