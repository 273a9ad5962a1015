import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import type { Attachment, ChatRequest, Delta } from '@/types'
import { judgeItem, stateOf, useExtraction } from './useExtraction'

let running = 0
let most = 0
const answers = new Map<string, string>()
async function* model(request: ChatRequest, signal: AbortSignal): AsyncGenerator<Delta> {
  most = Math.max(most, ++running)
  await new Promise((resolve) => setTimeout(resolve, 5))
  running--
  const answer = answers.get(request.turns[0]?.attachments[0]?.name ?? '') ?? '{"a": 1}'
  if (answer === 'broken') throw new Error('no connection')
  if (!signal.aborted) yield { type: 'text', text: answer }
  yield { type: 'end', finish: signal.aborted ? 'stopped' : answer.endsWith('}') ? 'stop' : 'length', stats: {} }
}
vi.mock('@/api/chat', () => ({ streamChat: (request: ChatRequest, signal: AbortSignal) => model(request, signal) }))
vi.mock('@/api/http', () => ({ ApiError: class extends Error {} }))

const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'], additionalProperties: false }
const request = (attachments: Attachment[]): ChatRequest => ({ systemPrompt: '', turns: [{ role: 'user', text: '', attachments }], sampling: {}, responseSchema: schema })
const groups = (...names: string[]): Attachment[][] => names.map((name) => [{ id: name, kind: 'image', name }])
let scope: EffectScope
let extraction: ReturnType<typeof useExtraction>

beforeEach(() => {
  running = most = 0
  answers.clear()
  scope = effectScope()
  extraction = scope.run(useExtraction) as typeof extraction
})
afterEach(() => scope.stop())
const states = () => extraction.items.value.map(stateOf)

describe('many pictures, one answer each', () => {
  it('asks no more at once than it may, and counts what is done', async () => {
    await extraction.start(groups('1', '2', '3', '4', '5'), request, 2)
    expect([most, extraction.done.value, extraction.busy.value]).toEqual([2, 5, false])
    expect(new Set(states())).toEqual(new Set(['done']))
  })

  it('tells answers that fit from those that do not, are cut, or failed; and asks the failed ones again', async () => {
    answers.set('bad', '{"a": "x"}').set('cut', '{"a": ').set('gone', 'broken')
    await extraction.start(groups('ok', 'bad', 'cut', 'gone'), request, 4)
    expect(states()).toEqual(['done', 'invalid', 'cut', 'failed'])
    answers.clear()
    await extraction.again(extraction.items.value.slice(2))
    expect(states()).toEqual(['done', 'invalid', 'done', 'done'])
  })

  it('checks a value that was changed by hand', async () => {
    answers.set('bad', '{"a": "x"}')
    await extraction.start(groups('bad'), request, 1)
    const item = extraction.items.value[0]!
    item.edited = { value: { a: 2 } }
    expect([stateOf(item), judgeItem(item).value]).toEqual(['done', { a: 2 }])
  })

  it('stops, and leaves what waits', async () => {
    const work = extraction.start(groups('1', '2', '3'), request, 1)
    extraction.stop()
    await work
    expect([states(), extraction.busy.value]).toEqual([['stopped', 'stopped', 'stopped'], false])
  })
})
