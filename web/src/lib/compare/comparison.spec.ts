import 'fake-indexeddb/auto'
import { describe, expect, it } from 'vitest'
import { differences, measures, requestFor, unevenCache, type Comparison, type SideSettings } from './comparison'
import { comparisonHtml, comparisonJson, type FileWords } from './comparisonFile'
import { forgetComparison, keepComparison, keptComparisons } from './comparisonStore'

const settings = (more: Partial<SideSettings> = {}): SideSettings => ({
  model: null, systemPrompt: '', ownQuestion: '', sampling: {}, thinking: false, size: 'whole', ...more,
}) // prettier-ignore
const HOSTILE = `</div><img src=x onerror="alert('1')"> & "quoted"`
const words: FileWords = {
  title: 'Side by side', made: 'today', left: 'L', right: 'R', difference: 'D', setting: 'S',
  measure: (name) => name, settingName: (name) => name, settingValue: (_, value) => String(value),
} // prettier-ignore

function comparison(id: string, createdAt = 0): Comparison {
  const answer = (text: string) => ({ state: 'done' as const, text, thinking: '', thinkingMs: 0, stats: { totalMs: 100 } })
  const picture = { id: 'p', kind: 'image' as const, name: HOSTILE, blob: new Blob(['bytes'], { type: 'image/png' }) }
  return {
    id, createdAt, question: HOSTILE, pictures: [picture],
    sides: [{ settings: settings(), answer: answer(`a ${HOSTILE}`) }, { settings: settings({ model: HOSTILE }), answer: answer('b') }],
  } // prettier-ignore
}

describe('a comparison', () => {
  it('asks the own question of a side where it has one', () => {
    expect(requestFor(settings(), 'both', []).turns[0]?.text).toBe('both')
    expect(requestFor(settings({ ownQuestion: 'mine', model: 'm' }), 'both', [])).toMatchObject({ model: 'm', turns: [{ text: 'mine' }] })
  })

  it('shows measures that one side has, and marks the one that is clearly faster', () => {
    const found = measures(
      { totalMs: 2000, tokensPerSecond: 50, firstTokenMs: 100, completionTokens: 40 },
      { totalMs: 1000, tokensPerSecond: 20, firstTokenMs: 104, completionTokens: 40, imageTokens: 7 },
    )
    expect(found).toEqual([
      { name: 'first', values: ['100 ms', '104 ms'] },
      { name: 'total', values: ['2.00 s', '1.00 s'], better: 1 },
      { name: 'tokens', values: ['40', '40'] },
      { name: 'speed', values: ['50.0', '20.0'], better: 0 },
      { name: 'image', values: ['–', '7'] },
    ])
  })

  it('calls no short answer fast', () => {
    const [one] = measures({ tokensPerSecond: 230, completionTokens: 15 }, { tokensPerSecond: 56, completionTokens: 40 }).filter(({ name }) => name === 'speed')
    expect(one).toEqual({ name: 'speed', values: ['230.0', '56.0'] })
  })

  it('calls neither faster whose prompt was kept from before', () => {
    const [kept, read] = [{ firstTokenMs: 70, promptTokens: 296, cachedTokens: 288 }, { firstTokenMs: 2400, promptTokens: 222, cachedTokens: 0 }]
    expect(unevenCache(kept, read)).toBe(true)
    expect(measures(kept, read)[0]).toEqual({ name: 'first', values: ['70 ms', '2.40 s'] })
    expect(unevenCache(kept, { ...read, cachedTokens: 208 })).toBe(false)
  })

  it('names the settings that differ', () => {
    expect(differences(settings({ sampling: { temperature: 0 } }), settings({ thinking: true }))).toEqual([
      ['thinking', false, true],
      ['temperature', 0, undefined],
    ])
  })
})

describe('a comparison as a file', () => {
  it('is a page in which nothing that somebody wrote is markup', async () => {
    const html = await comparisonHtml(comparison('a'), words)
    expect(html).not.toContain('<img src=x')
    expect(html).toContain('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;')
    expect(html).toContain(`<img src="data:image/png;base64,${btoa('bytes')}"`)
    expect(html).toContain('<del>')
  })

  it('is JSON with its pictures', async () => {
    const found = JSON.parse(await comparisonJson(comparison('a'))) as { pictures: object[]; question: string }
    expect(found).toMatchObject({ kind: 'flashweb-comparison', question: HOSTILE, pictures: [{ data: `data:image/png;base64,${btoa('bytes')}` }] })
  })
})

describe('comparisons in the browser', () => {
  it('are kept newest first, thirty of them, and forgotten when asked', async () => {
    for (let at = 1; at <= 32; at++) await keepComparison({ ...comparison(`c${at}`, at), pictures: [] })
    const ids = (await keptComparisons()).map(({ id }) => id)
    expect([ids.length, ids[0], ids.at(-1)]).toEqual([30, 'c32', 'c3'])
    await keepComparison({ ...comparison('c32', 32), pictures: [], question: 'again' })
    expect((await keptComparisons())[0]).toMatchObject({ id: 'c32', question: 'again' })
    await forgetComparison('c32')
    expect((await keptComparisons()).map(({ id }) => id)).toEqual(ids.slice(1))
  })
})
