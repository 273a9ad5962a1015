import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import type { SideSettings } from '@/lib/compare/comparison'
import { forgetComparison, keptComparisons } from '@/lib/compare/comparisonStore'
import { SOON } from '@/fixtures/waiting'
import type { ChatRequest, Delta } from '@/types'
import { useComparison } from './useComparison'

/** A model that says which side it is asked for, and waits where it is told to. */
const log: string[] = []
let gate: Promise<void> | null = null
async function* model(request: ChatRequest, signal: AbortSignal): AsyncGenerator<Delta> {
  const name = request.systemPrompt
  log.push(`begin ${name}`)
  yield { type: 'text', text: `I am ${name}: ` }
  if (gate) await Promise.race([gate, new Promise((resolve) => signal.addEventListener('abort', resolve))])
  if (!signal.aborted) yield { type: 'text', text: request.turns[0]?.text ?? '' }
  log.push(`end ${name}`)
  yield { type: 'end', finish: signal.aborted ? 'stopped' : 'stop', stats: { totalMs: 1 } }
}
vi.mock('@/api/chat', () => ({ streamChat: (request: ChatRequest, signal: AbortSignal) => model(request, signal) }))
vi.mock('@/api/http', () => ({ ApiError: class extends Error {} }))

const first = (): SideSettings => ({ model: null, systemPrompt: '', ownQuestion: '', sampling: {}, thinking: false, size: 'whole' })
let scope: EffectScope
let pair: ReturnType<typeof useComparison>

beforeEach(async () => {
  log.length = 0
  gate = null
  for (const { id } of await keptComparisons()) await forgetComparison(id)
  scope = effectScope()
  pair = scope.run(() => useComparison(first)) as typeof pair
  pair.sides[0].systemPrompt = 'L'
  pair.sides[1].systemPrompt = 'R'
  pair.question.value = 'Q'
})
afterEach(() => scope.stop())
const texts = () => pair.runs.map(({ text }) => text)

describe('two settings side by side', () => {
  it('answer at once, or one after the other', async () => {
    await pair.ask()
    expect(log).toEqual(['begin L', 'begin R', 'end L', 'end R'])
    log.length = 0
    pair.inTurn.value = true
    await pair.ask()
    expect(log).toEqual(['begin L', 'end L', 'begin R', 'end R'])
    expect(texts()).toEqual(['I am L: Q', 'I am R: Q'])
  })

  it('are kept as a pair with the settings that they were asked with', async () => {
    const asking = pair.ask()
    pair.sides[1].thinking = true // changed too late for this answer
    await asking
    const [kept] = await keptComparisons()
    expect(kept).toMatchObject({ question: 'Q', sides: [{ answer: { text: 'I am L: Q' } }, { settings: { thinking: false } }] })
  })

  it('ask one side again about the question of the pair, not about what was typed since', async () => {
    await pair.ask()
    pair.question.value = 'another'
    pair.sides[1].systemPrompt = 'R2'
    await pair.again(1)
    expect(texts()).toEqual(['I am L: Q', 'I am R2: Q'])
    expect(await keptComparisons()).toHaveLength(1)
  })

  it('stop both, also the one that waits for its turn', async () => {
    gate = new Promise(() => {})
    pair.inTurn.value = true
    const asking = pair.ask()
    await vi.waitFor(() => expect(log).toEqual(['begin L']), SOON)
    pair.stop()
    await asking
    expect(pair.runs.map(({ state }) => state)).toEqual(['stopped', 'stopped'])
    expect(log).not.toContain('begin R')
    expect(await keptComparisons()).toEqual([])
  })

  it('swap with their answers', async () => {
    await pair.ask()
    pair.swap()
    expect(texts()).toEqual(['I am R: Q', 'I am L: Q'])
    expect(pair.current()?.sides.map(({ settings }) => settings.systemPrompt)).toEqual(['R', 'L'])
  })

  it('come back from what was kept', async () => {
    await pair.ask()
    const [kept] = await keptComparisons()
    pair.question.value = ''
    pair.sides[0].systemPrompt = 'x'
    if (kept) pair.open(kept)
    expect([pair.question.value, pair.sides[0].systemPrompt, ...texts()]).toEqual(['Q', 'L', 'I am L: Q', 'I am R: Q'])
    await pair.remove(kept?.id ?? '')
    expect(pair.kept.value).toEqual([])
  })
})
