/** The one place where an answer is made; chat, comparison and structured answers show each in its own way how it grows. */
import { streamChat } from '@/api/chat'
import { ApiError } from '@/api/http'
import { reasonOf } from '@/lib/reason'
import type { Answer, ChatRequest, Delta, Failure } from '@/types'
import { framePacer } from './framePacer'

/** Goes on with `answer`, outside of Vue: it grows with every token, and `show` is called once a frame at most. Never throws:
 * what went wrong stands in the answer. */
export async function makeAnswer(answer: Answer, request: ChatRequest, signal: AbortSignal, show: () => void): Promise<void> {
  const take = taker(answer)
  const pacer = framePacer(show)
  try {
    for await (const delta of streamChat(request, signal)) {
      take(delta)
      pacer.ask()
    }
  } catch (error) {
    Object.assign(answer, { finish: 'error', failure: failureOf(error) })
  } finally {
    pacer.cancel()
  }
}

function taker(answer: Answer): (delta: Delta) => void {
  let thoughtSince: number | null = null
  return (delta) => {
    if (delta.type === 'end') {
      Object.assign(answer, { finish: delta.finish, stats: delta.stats })
      return
    }
    const now = performance.now()
    if (delta.type === 'thinking') thoughtSince ??= now
    // Up to the first word after it: a thought may come in one piece.
    if (thoughtSince !== null && answer.text === '') answer.thinkingMs = now - thoughtSince
    answer[delta.type] += delta.text
  }
}

function failureOf(error: unknown): Failure {
  return error instanceof ApiError ? error.failure : { code: 'page_error', message: reasonOf(error) }
}
