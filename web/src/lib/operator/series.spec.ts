import { describe, expect, it } from 'vitest'
import { columns, increase, rate, share, since, summary, youngerThan } from './series'

describe('rates', () => {
  it('are per second', () => expect(rate(10, 30, 4000)).toBe(5))
  it('count from 0 when the counter began anew', () => expect(increase(100, 7)).toBe(7))
  it('count from 0 when the series is new', () => expect(increase(null, 7)).toBe(7))
  it('are null for a series that there is not, and without time between', () => {
    expect(rate(null, null, 1000)).toBeNull()
    expect(rate(1, 2, 0)).toBeNull()
  })
  it('of hits are null without look-ups, not 0', () => {
    expect(share(0, 0)).toBeNull()
    expect(share(1, 4)).toBe(0.25)
  })
})

describe('points', () => {
  const points = [0, 10, 20, 30].map((time) => ({ time }))

  it('older than asked for are left out', () => {
    expect(youngerThan(points, 20).map((point) => point.time)).toEqual([10, 20, 30])
    expect(youngerThan([], 20)).toEqual([])
  })

  it('the one to compare with is the oldest within the time', () => {
    expect(since(points, 25)?.time).toBe(10)
    expect(since(points, 1000)?.time).toBe(0)
    expect(since(points, 5)).toBeNull()
    expect(since([], 5)).toBeNull()
  })
})

describe('columns', () => {
  const at = (time: number, a: number | null) => ({ time, values: { a, b: 1 } })

  it('hold times in seconds and a list for each name, in the order of the names', () => {
    expect(columns([at(1000, 5), at(2000, null)], ['b', 'a'], 5000)).toEqual([[1, 2], [1, 1], [5, null]])
  })

  it('break the lines where nobody looked', () => {
    const [times, a] = columns([at(1000, 5), at(20000, 6)], ['a'], 5000)
    expect(times).toEqual([1, 1.001, 20])
    expect(a).toEqual([5, null, 6])
  })
})

describe('summary', () => {
  it('leaves out what is missing, but says that there is no newest value', () => {
    expect(summary([1, null, 3, null])).toEqual({ now: null, least: 1, mean: 2, most: 3 })
  })
  it('of nothing is nothing', () => {
    expect(summary([null])).toEqual({ now: null, least: null, mean: null, most: null })
  })
})
