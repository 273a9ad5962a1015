/** An answer as a table or a column of a page follows it. */
import type { Answer, AnswerRun, ChatRequest } from '@/types'
import { makeAnswer } from './makeAnswer'

const begun = (): Answer => ({ text: '', thinking: '', thinkingMs: 0, finish: undefined, stats: undefined, failure: undefined })

export const emptyRun = (state: AnswerRun['state'] = 'idle'): AnswerRun => ({ state, ...begun() })

/** Asks anew; `run` may be Vue's, it is written to once a frame at most. */
export async function follow(run: AnswerRun, request: ChatRequest, signal: AbortSignal): Promise<void> {
  const answer = begun()
  Object.assign(run, answer, { state: 'running' })
  await makeAnswer(answer, request, signal, () => Object.assign(run, answer))
  Object.assign(run, answer, { state: endOf(answer) })
}

function endOf({ finish }: Answer): AnswerRun['state'] {
  if (finish === 'error') return 'failed'
  return finish === 'stopped' ? 'stopped' : 'done'
}
