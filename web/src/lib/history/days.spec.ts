import { describe, expect, it } from 'vitest'
import { ageOf, byAge } from './days'

const at = (text: string) => new Date(text).getTime()
const now = at('2026-11-28T00:30:00')

describe('the age of a conversation', () => {
  it('goes by the calendar: half an hour ago may be yesterday', () => {
    expect(ageOf(at('2026-11-28T00:01:00'), now)).toBe('today')
    expect(ageOf(at('2026-11-27T23:59:00'), now)).toBe('yesterday')
    expect(ageOf(at('2026-11-22T12:00:00'), now)).toBe('week')
    expect(ageOf(at('2026-11-21T12:00:00'), now)).toBe('month')
    expect(ageOf(at('2026-10-01T12:00:00'), now)).toBe('older')
    expect(ageOf(at('2026-11-29T12:00:00'), now)).toBe('today')
  })

  it('makes groups without empty ones, the order inside kept', () => {
    const items = [{ updatedAt: now }, { updatedAt: at('2020-01-02T00:00:00') }, { updatedAt: at('2020-01-01T00:00:00') }]
    expect(byAge(items, now)).toEqual([
      { age: 'today', items: [items[0]] },
      { age: 'older', items: [items[1], items[2]] },
    ])
  })
})
