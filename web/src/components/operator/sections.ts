/** The status as lists of facts: what the engine's tab shows and its report says. */
import type { Fact, Section } from '@/lib/operator/serverReport'
import type { AdminStatus } from '@/lib/operator/serverStatus'
import { bytes, duration, quantity } from '@/lib/quantities'

export interface Words {
  t: (key: string, values?: Record<string, unknown>) => string
  n: (value: number) => string
  time: (seconds: number) => string
}

type Line = [name: string, value: string | null | undefined]

export function sectionsOf(status: AdminStatus, words: Words): Section[] {
  const { t } = words
  const section = (id: string, facts: Fact[]): Section => ({ id, title: t(`operator.engine.${id}`), facts })
  const named = (lines: Line[]): Fact[] =>
    lines.flatMap(([name, value]) => (value ? [{ label: t(`operator.engine.fact.${name}`), value }] : []))
  const plain = (values: Record<string, string>): Fact[] => Object.entries(values).map(([label, value]) => ({ label, value }))
  return [
    section('model', named(modelLines(status, words))),
    section('engine', named(engineLines(status, words))),
    section('kv', named(kvLines(status, words))),
    section('caches', named(cacheLines(status, words))),
    section('start', startFacts(status, t)),
    section('processes', status.web_processes.map((one) => ({
      label: String(one.pid),
      value: [t('operator.engine.fact.uptime', { time: duration(one.uptime_seconds) }), t('operator.engine.fact.since', { time: words.time(one.started) }), t('operator.engine.fact.runningHere', { count: one.requests_running })].join(', '),
    }))),
    section('versions', plain(status.versions)),
    section('limits', Object.entries(status.limits).map(([name, value]) => ({ label: `--${name.replaceAll('_', '-')}`, value: limitText(name, value, t) })).filter(({ label }) => !COUNTS.includes(label))),
    section('settings', plain(status.settings)),
  ].filter(({ facts }) => facts.length > 0)
}

const COUNTS = ['--requests-inside', '--capacity'] // told by the checks: they are no options

function modelLines({ model }: AdminStatus, { t, n }: Words): Line[] {
  return [
    ['name', model.name],
    ['names', model.names.filter((name) => name !== model.name).join(', ')],
    ['dtype', model.dtype],
    ['quantization', model.quantization],
    ['quantizationReason', model.quantization_reason],
    ['context', t('operator.engine.tokens', { count: n(model.max_model_len) })],
    ['weights', model.weight_bytes ? bytes(model.weight_bytes) : null],
  ]
}

function engineLines({ engine }: AdminStatus, { t, n }: Words): Line[] {
  const stage = engine.phase === 'loading' ? ` (${engine.stage}, ${quantity(engine.progress, 'percent')})` : ''
  return [
    ['phase', t(`operator.state.${engine.phase === 'ready' ? 'ok' : engine.phase}`) + stage],
    ['error', engine.error],
    ['device', engine.device],
    ['pid', engine.pid === null ? null : String(engine.pid)],
    ['running', n(engine.running)],
    ['waiting', n(engine.waiting)],
    ['atOnce', n(engine.max_num_seqs)],
    ['steps', n(engine.steps)],
    ['preemptions', n(engine.preemptions)],
    ['restarts', n(engine.restarts)],
    ['peak', engine.peak_memory_bytes ? bytes(engine.peak_memory_bytes) : null],
  ]
}

function kvLines({ kv_cache: kv }: AdminStatus, { t, n }: Words): Line[] {
  if (kv.blocks === 0) return []
  return [
    ['used', t('operator.engine.blocksUsed', { used: n(kv.used), all: n(kv.blocks), share: quantity(kv.used / kv.blocks, 'percent') })],
    ['blockSize', t('operator.engine.tokens', { count: kv.block_size })],
    ['capacityTokens', t('operator.engine.tokens', { count: n(kv.blocks * kv.block_size) })],
    ['bytes', bytes(kv.bytes)],
  ]
}

function cacheLines({ prefix_cache: prefix, encoder_cache: encoder }: AdminStatus, { t, n }: Words): Line[] {
  const hits = (cache: { queries: number; hits: number }) =>
    t('operator.engine.hits', { hits: n(cache.hits), queries: n(cache.queries), share: quantity(cache.queries ? cache.hits / cache.queries : null, 'percent') })
  return [
    ['prefix', hits(prefix)],
    ['encoder', hits(encoder)],
    ['kept', t('operator.engine.entries', { count: n(encoder.entries), bytes: bytes(encoder.bytes) })],
  ]
}

function startFacts({ start_seconds: stages }: AdminStatus, t: Words['t']): Fact[] {
  const facts = Object.entries(stages).map(([label, seconds]) => ({ label, value: duration(seconds) }))
  if (facts.length === 0) return []
  const sum = Object.values(stages).reduce((all, seconds) => all + seconds, 0)
  return [...facts, { label: t('operator.engine.fact.total'), value: duration(sum) }]
}

/** What a bare number means is told by its option's name. */
function limitText(name: string, value: number | string | null, t: Words['t']): string {
  if (value === null) return t('operator.engine.noLimit')
  if (typeof value === 'string') return value
  if (/timeout|shutdown/.test(name)) return duration(value)
  if (/body_size|upload_size|multipart_size|fetch_size|memory/.test(name)) return bytes(value)
  return quantity(value, 'count')
}
