import { describe, expect, it } from 'vitest'
import type { Histogram } from './prometheus'
import { between, mean, quantile } from './quantiles'

function made(counts: Record<string, number>, sum = 0): Histogram {
  const buckets = Object.entries(counts).map(([edge, count]) => ({ edge: edge === 'inf' ? Infinity : Number(edge), count }))
  buckets.sort((a, b) => a.edge - b.edge)
  return { buckets, sum, count: buckets.at(-1)?.count ?? 0 }
}

describe('quantile', () => {
  it('is linear inside its bucket', () => {
    const counted = made({ '1': 0, '2': 10, '4': 20, 'inf': 20 })
    expect(quantile(counted, 0.25)).toBe(1.5)
    expect(quantile(counted, 0.5)).toBe(2)
    expect(quantile(counted, 0.75)).toBe(3)
    expect(quantile(counted, 1)).toBe(4)
  })

  it('begins at 0 in the first bucket', () => {
    expect(quantile(made({ '1': 4, 'inf': 4 }), 0.5)).toBe(0.5)
  })

  it('says the last finite edge for what is beyond all edges', () => {
    expect(quantile(made({ '1': 1, '8': 1, 'inf': 10 }), 0.95)).toBe(8)
  })

  it('skips empty buckets', () => {
    expect(quantile(made({ '1': 0, '2': 0, '3': 2, 'inf': 2 }), 0)).toBe(2)
  })

  it('is null when nothing was counted', () => {
    expect(quantile(made({ '1': 0, 'inf': 0 }), 0.5)).toBeNull()
  })
})

describe('between two moments', () => {
  it('only what came after the first counts', () => {
    const gained = between(made({ '1': 10, '2': 10, 'inf': 10 }, 5), made({ '1': 10, '2': 14, 'inf': 14 }, 11))
    expect(gained).toEqual(made({ '1': 0, '2': 4, 'inf': 4 }, 6))
    expect(quantile(gained, 0.5)).toBe(1.5)
    expect(mean(gained)).toBe(1.5)
  })

  it('everything counts when the server began anew, or had no such histogram before', () => {
    const after = made({ '1': 3, 'inf': 3 }, 2)
    expect(between(made({ '1': 10, 'inf': 10 }, 5), after)).toBe(after)
    expect(between(null, after)).toBe(after)
  })

  it('there is no mean of nothing', () => {
    const same = made({ '1': 3, 'inf': 3 }, 2)
    expect(mean(between(same, same))).toBeNull()
  })
})
