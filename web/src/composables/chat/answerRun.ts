/** One answer that is made: what a table or a column shows of it. */

import { streamChat } from '@/api/chat'
import { ApiError } from '@/api/http'
import type { ChatRequest, Failure, FinishReason, RunStats } from '@/types'
import { framePacer } from './framePacer'

export interface AnswerRun {
  state: 'idle' | 'waiting' | 'running' | 'done' | 'failed' | 'stopped'
  text: string
  thinking: string
  thinkingMs: number
  finish?: FinishReason
  stats?: RunStats
  failure?: Failure
}

export const emptyRun = (state: AnswerRun['state'] = 'idle'): AnswerRun => ({ state, text: '', thinking: '', thinkingMs: 0 })

/** Writes into `run`, at most once a frame. Never throws: what went wrong stands in it. */
export async function follow(run: AnswerRun, request: ChatRequest, signal: AbortSignal): Promise<void> {
  Object.assign(run, emptyRun('running'), { finish: undefined, stats: undefined, failure: undefined })
  const growing = { text: '', thinking: '', thinkingMs: 0 }
  let thoughtSince = 0
  const pacer = framePacer(() => Object.assign(run, growing))
  try {
    for await (const delta of streamChat(request, signal)) {
      if (delta.type === 'end') {
        Object.assign(run, { finish: delta.finish, stats: delta.stats, state: delta.finish === 'stopped' ? 'stopped' : 'done' })
        continue
      }
      growing[delta.type] += delta.text
      if (delta.type === 'thinking') growing.thinkingMs = performance.now() - (thoughtSince ||= performance.now())
      pacer.ask()
    }
  } catch (error) {
    const failure = error instanceof ApiError ? error.failure : { code: 'page_error', message: error instanceof Error ? error.message : String(error) }
    Object.assign(run, { state: 'failed', failure })
  } finally {
    pacer.cancel()
    Object.assign(run, growing)
  }
}
