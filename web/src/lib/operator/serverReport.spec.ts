import { describe, expect, it } from 'vitest'
import type { AdminStatus } from './serverStatus'
import { checksOf, reportText } from './serverReport'

const process = { pid: 1, workers: 1, started: 0, uptime_seconds: 5, requests_running: 0 }
const FINE: AdminStatus = {
  status: 'ok', ready: true, detail: '', versions: {}, web_process: process, web_processes: [process],
  model: { name: 'nano', names: [], dtype: 'float32', quantization: 'none', quantization_reason: '', max_model_len: 4096, weight_bytes: 1 },
  engine: { phase: 'ready', stage: '', progress: 1, error: '', gave_up: false, device: 'cuda', pid: 2, restarts: 0, running: 0, waiting: 0, max_num_seqs: 16, steps: 1, preemptions: 0, peak_memory_bytes: 1 },
  kv_cache: { block_size: 16, blocks: 1000, used: 100, free: 900, bytes: 1 },
  prefix_cache: { queries: 0, hits: 0 }, encoder_cache: { queries: 0, hits: 0, entries: 0, bytes: 0 },
  start_seconds: {}, limits: { requests_inside: 1, capacity: 40, rate_limit: '60/minute' }, settings: { '--api-keys': '["**********"]' }, usage: [], usage_by_day: [],
}

function troubles(status: Partial<AdminStatus>): string[] {
  return checksOf({ ...FINE, ...status }).filter(({ tone }) => tone !== 'ok').map(({ tone, words }) => `${tone} ${words}`)
}

describe('checks', () => {
  it('find nothing in a server that is well', () => expect(troubles({})).toEqual([]))

  it('tell an engine that does not answer from one that is loading', () => {
    expect(troubles({ ready: false, status: 'dead', detail: 'it died' })).toEqual(['danger notReady'])
    expect(troubles({ ready: false, status: 'loading' })).toEqual(['info loading'])
  })

  it('see what is full', () => {
    expect(troubles({ kv_cache: { ...FINE.kv_cache, used: 900 } })).toEqual(['warn kvFull'])
    expect(troubles({ limits: { ...FINE.limits, requests_inside: 36 } })).toEqual(['warn inside'])
    expect(troubles({ engine: { ...FINE.engine, waiting: 3 } })).toEqual(['warn queue'])
  })

  it('remember what went wrong since the start', () => {
    expect(troubles({ engine: { ...FINE.engine, restarts: 1, preemptions: 2 } })).toEqual(['danger restarts', 'warn preemptions'])
  })

  it('miss web processes that did not answer', () => {
    const four = { ...process, workers: 4 }
    expect(troubles({ web_process: four, web_processes: [four, four, four] })).toEqual(['warn processesFew'])
  })

  it('see a context that the KV cache cannot hold', () => {
    expect(troubles({ kv_cache: { ...FINE.kv_cache, blocks: 255 } })).toEqual(['warn context'])
    expect(troubles({ kv_cache: { ...FINE.kv_cache, blocks: 0, used: 0 } })).toEqual([])
  })

  it('tell open doors, without calling them wrong', () => {
    expect(troubles({ settings: {}, limits: { ...FINE.limits, rate_limit: null } })).toEqual(['info noKeys', 'info noRate'])
    expect(troubles({ settings: { ...FINE.settings, '--api-key-required': 'false' } })).toEqual(['info noKeys'])
  })
})

it('the report is plain text with the checks first', () => {
  const text = reportText('flashweb 1', [{ mark: 'fine', text: 'it runs' }, { mark: 'look', text: 'slow', fix: 'hurry' }], [{ id: 'a', title: 'Model', facts: [{ label: 'Name', value: 'nano' }] }])
  expect(text).toBe('flashweb 1\n\n[fine] it runs\n[look] slow\n    hurry\n\nModel\n  Name: nano\n')
})
