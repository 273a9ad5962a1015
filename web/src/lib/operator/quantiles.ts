/** Quantiles of what a histogram counted between two moments, as Prometheus' histogram_quantile() does it. */

import type { Histogram } from './prometheus'

/** What came between `before` and `after`; all of `after` when the counter began anew (the server was started again). */
export function between(before: Histogram | null, after: Histogram): Histogram {
  if (before === null || after.count < before.count) return after
  const known = new Map(before.buckets.map(({ edge, count }) => [edge, count]))
  const buckets = after.buckets.map(({ edge, count }) => ({ edge, count: count - (known.get(edge) ?? 0) }))
  return { buckets, sum: after.sum - before.sum, count: after.count - before.count }
}

/** Linear inside the bucket it falls into; in the infinite one the last finite edge. Null when nothing was counted. */
export function quantile(histogram: Histogram, q: number): number | null {
  const all = histogram.buckets.at(-1)?.count ?? 0
  if (all <= 0) return null
  const rank = q * all
  let low = 0
  let below = 0
  for (const { edge, count } of histogram.buckets) {
    if (count >= rank && count > below) {
      if (edge === Infinity) return low
      return low + ((edge - low) * (rank - below)) / (count - below)
    }
    if (edge !== Infinity) low = edge
    below = count
  }
  return low
}

export function mean(histogram: Histogram): number | null {
  return histogram.count > 0 ? histogram.sum / histogram.count : null
}
