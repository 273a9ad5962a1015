import { describe, expect, it } from 'vitest'
import after from './fixtures/metrics-after.txt?raw'
import { byLabel, histogram, parseMetrics, total } from './prometheus'

describe('parseMetrics', () => {
  it('reads what a server really answered', () => {
    const scrape = parseMetrics(after)
    expect(total(scrape, 'vllm:num_requests_running')).toBe(0)
    expect(scrape.get('flashweb:model_info')?.[0]?.labels).toMatchObject({ device: 'cpu', quantization: 'none' })
    expect(byLabel(scrape, 'flashweb:engine_state', 'state').get('ready')).toBe(1)
    expect([...byLabel(scrape, 'flashweb:startup_seconds', 'stage').keys()]).toContain('first answer')
    expect(total(scrape, 'process_resident_memory_bytes')).toBeGreaterThan(50e6)
  })

  it('undoes what is escaped in labels, and is not misled by braces and commas in them', () => {
    const scrape = parseMetrics('a{x="say \\"hi\\", {now}",y="one\\ntwo\\\\n"} 3\n')
    expect(scrape.get('a')).toEqual([{ labels: { x: 'say "hi", {now}', y: 'one\ntwo\\n' }, value: 3 }])
  })

  it('reads infinities, exponents, timestamps and exemplars', () => {
    const scrape = parseMetrics('a +Inf\nb -Inf\nc 1.5e+08\nd{x="1"} 2 1700000000\ne{le="1"} 4 # {id="7"} 0.5\nf NaN')
    expect(['a', 'b', 'c', 'd', 'e'].map((name) => scrape.get(name)?.[0]?.value)).toEqual([Infinity, -Infinity, 1.5e8, 2, 4])
    expect(scrape.get('f')?.[0]?.value).toBeNaN()
  })

  it('leaves out lines that are none of the format', () => {
    const scrape = parseMetrics('<html>\n# HELP a b\n\nbad{x="1"}\nworse one\ngood 1')
    expect([...scrape.keys()]).toEqual(['good'])
  })
})

describe('sums', () => {
  const scrape = parseMetrics('r{code="200",to="a"} 3\nr{code="200",to="b"} 4\nr{code="500",to="a"} 1')

  it('add up label sets, all or some', () => {
    expect(total(scrape, 'r')).toBe(8)
    expect(total(scrape, 'r', (labels) => labels.to === 'a')).toBe(4)
    expect([...byLabel(scrape, 'r', 'code')]).toEqual([['200', 7], ['500', 1]])
  })

  it('are null, not 0, for what the server does not have', () => {
    expect(total(scrape, 'nothing')).toBeNull()
    expect(total(scrape, 'r', (labels) => labels.to === 'c')).toBeNull()
    expect(histogram(scrape, 'r')).toBeNull()
  })

  it('make one histogram of all label sets, its edges in order', () => {
    const many = parseMetrics('h_bucket{le="+Inf",m="a"} 4\nh_bucket{le="0.5",m="a"} 1\nh_bucket{le="0.5",m="b"} 2\nh_bucket{le="+Inf",m="b"} 2\nh_sum{m="a"} 9\nh_sum{m="b"} 1\nh_count{m="a"} 4\nh_count{m="b"} 2')
    expect(histogram(many, 'h')).toEqual({ buckets: [{ edge: 0.5, count: 3 }, { edge: Infinity, count: 6 }], sum: 10, count: 6 })
  })

  it('of a real histogram: cumulative, its last bucket is its count', () => {
    const found = histogram(parseMetrics(after), 'vllm:time_to_first_token_seconds')
    expect(found?.buckets.at(-1)).toEqual({ edge: Infinity, count: found?.count })
    expect(found?.buckets.every(({ count }, index, all) => index === 0 || count >= (all[index - 1]?.count ?? 0))).toBe(true)
  })
})
