import { describe, expect, it } from 'vitest'
import after from './fixtures/metrics-after.txt?raw'
import before from './fixtures/metrics-before.txt?raw'
import { livePoint } from './livePoint'
import { parseMetrics } from './prometheus'

const first = { time: 0, scrape: parseMetrics(before) }
const second = { time: 10_000, scrape: parseMetrics(after) }

function of(text: string, time: number) {
  return { time, scrape: parseMetrics(text) }
}

describe('a live point', () => {
  it('of two real scrapes has rates, quantiles and shares that fit together', () => {
    const { values, stages } = livePoint(first, first, second)
    expect(values.generated).toBeGreaterThan(1)
    expect(values.ttft50).toBeGreaterThan(0)
    expect(values.ttft95).toBeGreaterThanOrEqual(values.ttft50 ?? Infinity)
    expect(values.prefixHits).toBeGreaterThanOrEqual(0)
    expect(values.prefixHits).toBeLessThanOrEqual(1)
    expect(values.running).toBe(0)
    expect(stages.decode).toBeGreaterThan(0)
    expect(stages.draw).toBeNull()
  })

  it('takes rates from the short time and quantiles from the long one', () => {
    const scrape = (tokens: number, quick: number, all: number) =>
      `vllm:generation_tokens_total ${tokens}\nvllm:time_to_first_token_seconds_bucket{le="1"} ${quick}\nvllm:time_to_first_token_seconds_bucket{le="2"} ${all}\nvllm:time_to_first_token_seconds_bucket{le="+Inf"} ${all}\nvllm:time_to_first_token_seconds_count ${all}`
    const { values } = livePoint(of(scrape(100, 0, 0), 50_000), of(scrape(0, 0, 0), 0), of(scrape(150, 2, 4), 60_000))
    expect(values.generated).toBe(5)
    expect(values.ttft50).toBe(1)
  })

  it("leaves the operator's own questions out, and tells answers by their code", () => {
    const codes = (good: number, bad: number, own: number) =>
      `http_requests_total{handler="/v1/chat/completions",status="200"} ${good}\nhttp_requests_total{handler="none",status="401"} ${bad}\nhttp_requests_total{handler="/api/admin/status",status="200"} ${own}`
    const a = of(codes(1, 0, 0), 0)
    const point = livePoint(a, a, of(codes(21, 5, 100), 10_000))
    expect([point.values.good, point.values.refused, point.values.failed]).toEqual([2, 0.5, 0])
    expect(point.codes).toEqual([{ code: '200', count: 20 }, { code: '401', count: 5 }])
  })

  it('of a server without an engine has nulls instead of zeros', () => {
    const empty = of('flashweb:ready 0', 0)
    const { values } = livePoint(empty, empty, of('flashweb:ready 0', 1000))
    expect([values.running, values.kv, values.ttft50, values.generated, values.prefixHits]).toEqual([null, null, null, null, null])
    expect(values.good).toBe(0)
  })
})
