/** Answers that are being made, one a conversation at most. They belong to the page, not to a view: they go on while
 * another conversation or page is looked at. */
import { shallowReactive } from 'vue'
import { ApiError } from '@/api/http'
import { streamChat } from '@/api/chat'
import { tellTabs } from '@/lib/history/tabs'
import { dropTail, leaveTail } from '@/lib/history/tails'
import type { ChatRequest, Delta, Failure, Message, RunStats } from '@/types'
import { framePacer } from './framePacer'

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
  const growing = new Growing(message)
  const show = () => {
    if (aborts.get(key) === abort) live.set(key, growing.message())
  }
  const pacer = framePacer(show)
  const keep = () => {
    tellTabs({ conversationId: key, answering: message.id })
    if (growing.changedSinceSave()) void save(growing.message()).then((wanted) => wanted || abort.abort())
  }
  const timer = setInterval(keep, SAVE_EVERY_MS)
  const leave = () => {
    leaveTail(growing.message())
    keep()
  }
  addEventListener('pagehide', leave)
  show()
  try {
    for await (const delta of streamChat(request, abort.signal)) {
      growing.take(delta)
      pacer.ask()
    }
  } catch (error) {
    growing.fail(failureOf(error))
  } finally {
    pacer.cancel()
    clearInterval(timer)
    removeEventListener('pagehide', leave)
  }
  const whole = growing.message()
  leaveTail(whole) // a page that is being closed loses its connection first, and may not live to see it saved
  const saved = save(whole) // into memory at once, so that nothing flickers when the live one goes
  if (aborts.get(key) === abort) {
    aborts.delete(key)
    live.delete(key)
  }
  await saved
  dropTail(message.id)
  return whole
}

function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) return error.failure
  return { code: 'page_error', message: error instanceof Error ? error.message : String(error) }
}

/** A message that grows. Strings are put together here, outside of Vue; a copy is shown once a frame. */
class Growing {
  private text: string
  private thinking: string
  private thinkingMs: number | undefined
  private thoughtSince = 0
  private ending: Partial<Message> = {}
  private saved = -1

  constructor(private readonly start: Message) {
    this.text = start.text
    this.thinking = start.thinking ?? ''
    this.thinkingMs = start.thinkingMs
  }

  take(delta: Delta): void {
    if (delta.type === 'thinking') {
      this.thoughtSince ||= performance.now()
      this.thinking += delta.text
      this.thinkingMs = performance.now() - this.thoughtSince
    } else if (delta.type === 'text') {
      this.text += delta.text
    } else {
      this.ending = { finish: delta.finish, stats: joined(this.start.stats, delta.stats) }
    }
  }

  fail(failure: Failure): void {
    this.ending = { finish: 'error', failure }
  }

  changedSinceSave(): boolean {
    const size = this.text.length + this.thinking.length
    const changed = size !== this.saved
    this.saved = size
    return changed
  }

  message(): Message {
    const { finish: _finish, failure: _failure, ...start } = this.start
    const thought = this.thinking ? { thinking: this.thinking, thinkingMs: this.thinkingMs ?? 0 } : {}
    return { ...start, text: this.text, ...thought, ...this.ending }
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
