/** What the server's status says about its health, and the report that an operator hands on. */
import { quantity } from '@/lib/quantities'
import type { AdminStatus } from './serverStatus'

export interface Fact {
  label: string
  value: string
}

export interface Section {
  id: string
  title: string
  facts: Fact[]
}

/** `words` and `fix` are keys of the locale's `operator.check`. */
export interface Check {
  tone: 'ok' | 'info' | 'warn' | 'danger'
  words: string
  values?: Record<string, string | number>
  fix?: string
}

const NEARLY_FULL = 0.9

/** In the order in which one would look; those that need somebody's hand say what to do. */
export function checksOf(status: AdminStatus): Check[] {
  return [readiness(status), ...load(status), ...history(status), ...place(status), ...doors(status)]
}

function readiness({ ready, status, detail, engine }: AdminStatus): Check {
  if (ready) return { tone: 'ok', words: 'ready' }
  if (status === 'loading') return { tone: 'info', words: 'loading', values: { stage: engine.stage || engine.phase } }
  return { tone: 'danger', words: 'notReady', values: { detail: detail || engine.error || status } }
}

function load({ engine, kv_cache: kv, limits }: AdminStatus): Check[] {
  const found: Check[] = []
  found.push(engine.waiting > 0 ? { tone: 'warn', words: 'queue', values: { waiting: engine.waiting }, fix: 'queueFix' } : { tone: 'ok', words: 'noQueue' })
  if (kv.blocks > 0) {
    const used = kv.used / kv.blocks
    const values = { share: quantity(used, 'percent') }
    found.push(used >= NEARLY_FULL ? { tone: 'warn', words: 'kvFull', values, fix: 'kvFix' } : { tone: 'ok', words: 'kvFine', values })
  }
  const [inside, capacity] = [Number(limits.requests_inside), Number(limits.capacity)]
  if (capacity > 0) {
    const values = { inside, capacity }
    found.push(inside >= NEARLY_FULL * capacity ? { tone: 'warn', words: 'inside', values, fix: 'insideFix' } : { tone: 'ok', words: 'inside', values })
  }
  return found
}

function history({ engine, web_processes: answered, web_process: one }: AdminStatus): Check[] {
  const found: Check[] = [
    engine.restarts > 0 ? { tone: 'danger', words: 'restarts', values: { count: engine.restarts }, fix: 'restartsFix' } : { tone: 'ok', words: 'noRestarts' },
    engine.preemptions > 0 ? { tone: 'warn', words: 'preemptions', values: { count: engine.preemptions }, fix: 'preemptionsFix' } : { tone: 'ok', words: 'noPreemptions' },
  ]
  const values = { count: answered.length, all: one.workers }
  if (one.workers > 1) found.push(answered.length < one.workers ? { tone: 'warn', words: 'processesFew', values, fix: 'processesFix' } : { tone: 'ok', words: 'processes', values })
  return found
}

function place({ engine, model, kv_cache: kv }: AdminStatus): Check[] {
  const found: Check[] = []
  const holds = kv.blocks * kv.block_size
  if (holds > 0 && model.max_model_len > 0) {
    const values = { tokens: model.max_model_len.toLocaleString('en-US'), holds: holds.toLocaleString('en-US') }
    found.push(holds < model.max_model_len ? { tone: 'warn', words: 'context', values, fix: 'contextFix' } : { tone: 'ok', words: 'context', values })
  }
  if (engine.device === 'cpu') found.push({ tone: 'info', words: 'cpu', fix: 'cpuFix' })
  return found
}

function doors({ limits, settings }: AdminStatus): Check[] {
  const found: Check[] = []
  const hasKeys = '--api-keys' in settings || '--api-key-file' in settings
  if (!hasKeys || settings['--api-key-required'] === 'false') found.push({ tone: 'info', words: 'noKeys', fix: 'noKeysFix' })
  const rate = limits.rate_limit
  found.push(rate === null || rate === undefined ? { tone: 'info', words: 'noRate', fix: 'noRateFix' } : { tone: 'ok', words: 'rate', values: { rate: String(rate) } })
  return found
}

/** Plain text, to be put into a letter or an issue. */
export function reportText(title: string, checks: readonly { mark: string; text: string; fix?: string }[], sections: readonly Section[]): string {
  const lines = [title, '', ...checks.flatMap(({ mark, text, fix }) => [`[${mark}] ${text}`, ...(fix ? [`    ${fix}`] : [])])]
  for (const section of sections) lines.push('', section.title, ...section.facts.map(({ label, value }) => `  ${label}: ${value}`))
  return `${lines.join('\n')}\n`
}
