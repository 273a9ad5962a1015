import { describe, expect, it } from 'vitest'
import { insideFence, placeOf, readJson } from './partialJson'

const WHOLE = '{"a": [1, -2.5e3, true, null, {"b": "x\\n\\u4e2d \\"q\\""}], "c": {}, "d": [], "": "é😀"}'

function grows(before: unknown, now: unknown): boolean {
  if (before === undefined) return true
  if (typeof before === 'string') return typeof now === 'string' && now.startsWith(before)
  if (typeof before !== 'object' || before === null) return now === before
  return typeof now === 'object' && now !== null && Object.entries(before).every(([key, value]) => grows(value, (now as Record<string, unknown>)[key]))
}

describe('JSON that arrives piece by piece', () => {
  it('is, when whole, what JSON.parse makes of it', () => {
    expect(readJson(WHOLE)).toEqual({ value: JSON.parse(WHOLE), complete: true, openPath: [] })
  })

  it('never fails on a beginning, and never says that one is complete', () => {
    for (let end = 0; end < WHOLE.length; end++) {
      const { complete, problem } = readJson(WHOLE.slice(0, end))
      expect([end, complete, problem]).toEqual([end, false, undefined])
    }
  })

  it('only ever grows: nothing that was shown is taken back', () => {
    let before: unknown
    for (let end = 1; end <= WHOLE.length; end++) {
      const { value } = readJson(WHOLE.slice(0, end))
      expect([end, grows(before, value)]).toEqual([end, true])
      before = value
    }
  })

  it('does not show half a number or half an escape', () => {
    expect(readJson('{"n": 12').value).toEqual({})
    expect(readJson('{"n": 12,').value).toEqual({ n: 12 })
    expect(readJson('{"s": "a\\u4e').value).toEqual({ s: 'a' })
  })

  it('tells which value is being written', () => {
    expect(readJson('{"rows": [{"a": 1}, {"b": "ha').openPath).toEqual(['rows', 1, 'b'])
  })

  it.each([
    ['{"a" 1}', 'colon', 5],
    ['{a: 1}', 'key', 1],
    ['{"a": 1,}', 'key', 8],
    ['{"a": 1 "b"}', 'comma', 8],
    ['[1 2]', 'comma', 3],
    ['[01]', 'value', 1],
    ['["\\x"]', 'escape', 2],
    ['["a\nb"]', 'control', 3],
    ['{} x', 'after', 3],
    ['{"a": 1, "a": 2}', 'duplicate', 9],
    ['nothing', 'value', 0],
    ["{'a': 1}", 'key', 1],
  ])('names place and reason of %s', (text, code, offset) => {
    expect(readJson(text)).toMatchObject({ complete: false, problem: { code, offset } })
  })

  it('bounds how deep it goes', () => {
    expect(readJson('['.repeat(10_000)).problem?.code).toBe('deep')
  })

  it('takes __proto__ for a name like any other', () => {
    const { value } = readJson('{"__proto__": {"x": 1}}')
    expect(Object.keys(value as object)).toEqual(['__proto__'])
    expect((value as { x?: number }).x).toBeUndefined()
  })

  it('counts lines and columns from one', () => {
    expect(placeOf('{\n  "a" 1}', 8)).toEqual({ line: 2, column: 7 })
  })

  it('takes JSON out of a fence that is closed or not yet', () => {
    expect(insideFence('Here:\n```json\n{"a": 1}\n```\nDone')).toBe('{"a": 1}')
    expect(insideFence('```\n{"a":')).toBe('{"a":')
    expect(insideFence('{"a": 1}')).toBe('{"a": 1}')
  })
})
