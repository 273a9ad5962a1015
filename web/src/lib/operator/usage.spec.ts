import { describe, expect, it } from 'vitest'
import { byDay, ranked, together, type Usage } from './usage'

const row = (key: string | null, tokens: number, requests = 1): Usage => ({ key, requests, errors: 0, prompt_tokens: tokens, completion_tokens: tokens, pictures: 2 })

describe('usage', () => {
  it('is summed', () => {
    expect(together([row('a', 5), row('b', 1, 3)])).toEqual({ requests: 4, errors: 0, prompt_tokens: 6, completion_tokens: 6, pictures: 4 })
  })

  it('is ranked by tokens, then by requests, with shares that make one whole', () => {
    const rows = ranked([row('idle', 0, 9), row('less', 1), row('most', 3), row('nothing', 0)])
    expect(rows.map(({ key, share }) => [key, share])).toEqual([['most', 0.75], ['less', 0.25], ['idle', 0], ['nothing', 0]])
  })

  it('without a token has no shares instead of NaN', () => expect(ranked([row('a', 0)])[0]?.share).toBe(0))

  it('by day adds keys up, newest day first', () => {
    const rows = [{ day: '2026-01-30', ...row('a', 1) }, { day: '2026-01-31', ...row('a', 2) }, { day: '2026-01-31', ...row(null, 3) }]
    expect(byDay(rows, undefined).map(({ day, prompt_tokens }) => [day, prompt_tokens])).toEqual([['2026-01-31', 5], ['2026-01-30', 1]])
    expect(byDay(rows, 'a').map(({ prompt_tokens }) => prompt_tokens)).toEqual([2, 1])
    expect(byDay(rows, null).map(({ prompt_tokens }) => prompt_tokens)).toEqual([3])
  })
})
