/** What an answer that should be JSON has come to. */

import { check, type Mismatch, type Path } from './jsonSchema'
import { insideFence, placeOf, readJson, type JsonProblem } from './partialJson'

export interface Judged {
  value: unknown
  openPath?: Path // where it is being written, or where it broke off
  complete: boolean
  problem?: { code: JsonProblem | 'cut'; line: number; column: number }
  mismatches: Mismatch[]
}

/** `finished`: nothing more will come, so that what is missing is missing. */
export function judge(answer: string, finished: boolean, schema: unknown): Judged {
  const text = insideFence(answer)
  const { value, complete, problem, openPath } = readJson(text)
  if (complete) return { value, complete, mismatches: finished ? check(value, schema).mismatches : [] }
  if (!finished) return { value, openPath, complete, mismatches: [] }
  const place = placeOf(text, problem?.offset ?? text.length)
  return { value, openPath, complete, problem: { code: problem?.code ?? 'cut', ...place }, mismatches: [] }
}
