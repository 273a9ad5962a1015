import { describe, expect, it } from 'vitest'
import { distinct, filtered, stagesOf, tokensPerSecond, type LoggedRequest, type RequestFilter } from './requestLog'

function request(given: Partial<LoggedRequest> = {}): LoggedRequest {
  return {
    id: 'req_1', web_process: 1, state: 'finished', time: 1, method: 'POST', path: '/v1/chat/completions', key: 'shop', status: 200,
    latency_ms: 100, timings_ms: null, pictures: [], image_hash: null, finish_reasons: ['stop'], error_code: null,
    usage: { prompt_tokens: 10, completion_tokens: 5, cached_tokens: 0, image_tokens: 0, reasoning_tokens: 0 },
    ...given,
  }
}

const log = [
  request({ id: 'req_running', state: 'running', status: null, finish_reasons: [] }),
  request({ id: 'req_fine', path: '/v1/completions' }),
  request({ id: 'req_slow', latency_ms: 9000, key: null }),
  request({ id: 'req_bad', status: 429, error_code: 'rate_limit_exceeded', key: 'other' }),
  request({ id: 'req_broken', error_code: 'timeout' }), // in a stream: its status was 200 by then
  request({ id: 'req_seen', pictures: [{ width: 8, height: 8, bytes: 9 }] }),
  request({ id: 'req_counted', path: '/tokenize' }),
  request({ id: 'req_models', method: 'GET', path: '/v1/models', status: 401, error_code: 'invalid_api_key' }),
]

function ids(given: Partial<RequestFilter>) {
  const filter = { which: 'all', path: '', key: undefined, text: '', slowMs: 5000, ...given } as const
  return filtered(log, filter).map((one) => one.id.slice(4))
}

describe('filters', () => {
  it('leave out what is only looked up, unless it is named', () => {
    expect(ids({ which: 'asked' })).toEqual(['running', 'fine', 'slow', 'bad', 'broken', 'seen'])
    expect(ids({ which: 'asked', path: '/tokenize' })).toEqual(['counted'])
    expect(ids({ which: 'asked', text: 'req_models' })).toEqual(['models'])
  })
  it('let everything through when nothing is asked for', () => expect(ids({})).toHaveLength(log.length))
  it('find what runs', () => expect(ids({ which: 'running' })).toEqual(['running']))
  it('find what failed, in the middle of a stream too', () => expect(ids({ which: 'failed' })).toEqual(['bad', 'broken', 'models']))
  it('find what went well and is over', () => expect(ids({ which: 'good' })).toEqual(['fine', 'slow', 'seen', 'counted']))
  it('find what was slow', () => {
    expect(ids({ which: 'slow' })).toEqual(['slow'])
    expect(ids({ which: 'slow', slowMs: 10_000 })).toEqual([])
  })
  it('find pictures', () => expect(ids({ which: 'pictures' })).toEqual(['seen']))
  it('find a path as a whole', () => expect(ids({ path: '/v1/completions' })).toEqual(['fine']))
  it('tell one key, no key and every key apart', () => {
    expect(ids({ key: 'other' })).toEqual(['bad'])
    expect(ids({ key: null })).toEqual(['slow'])
  })
  it('search ids, codes and keys, whatever the case', () => {
    expect(ids({ text: ' REQ_BR ' })).toEqual(['broken'])
    expect(ids({ text: 'rate_limit' })).toEqual(['bad'])
  })
  it('hold together', () => expect(ids({ which: 'failed', key: 'shop' })).toEqual(['broken', 'models']))
})

describe('stages', () => {
  it('are those that took time, with what is in none of them', () => {
    const stages = stagesOf(request({ timings_ms: { fetch: 0, decode: 10, queue: 0, prefill: 30, decode_tokens: 50, total: 100 } }))
    expect(stages.map(({ stage, ms }) => [stage, ms])).toEqual([['decode', 10], ['prefill', 30], ['decode_tokens', 50], ['other', 10]])
    expect(stages.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
  })
  it('never fill more than the bar where they overlap', () => {
    const stages = stagesOf(request({ timings_ms: { fetch: 80, decode: 80, total: 100 } }))
    expect(stages.map(({ share }) => share)).toEqual([0.5, 0.5])
  })
  it('are none for what never reached the model', () => expect(stagesOf(request())).toEqual([]))
})

it('tokens per second leave the first one out, as its time is the prefill', () => {
  expect(tokensPerSecond(request({ timings_ms: { decode_tokens: 1000 } }))).toBe(4)
  expect(tokensPerSecond(request())).toBeNull()
})

it('distinct values keep their order', () => expect(distinct(['b', null, 'b', 'a'])).toEqual(['b', null, 'a']))
