import type { LiveName } from '@/lib/operator/livePoint'
import type { Unit } from '@/lib/quantities'

export type Tone = 'accent' | 'ok' | 'warn' | 'danger' | 'muted'

export interface Line {
  name: LiveName
  tone: Tone
  dashed?: boolean // told apart without colours too
}

export interface Chart {
  id: 'load' | 'throughput' | 'first' | 'token' | 'requests' | 'caches' | 'whole' | 'pictures' | 'memory' | 'cpu'
  unit: Unit
  lines: readonly Line[]
}

export const CHARTS: readonly Chart[] = [
  { id: 'load', unit: 'count', lines: [{ name: 'running', tone: 'accent' }, { name: 'waiting', tone: 'warn', dashed: true }] },
  { id: 'throughput', unit: 'perSecond', lines: [{ name: 'generated', tone: 'accent' }, { name: 'prompted', tone: 'muted', dashed: true }] },
  { id: 'requests', unit: 'perSecond', lines: [{ name: 'good', tone: 'ok' }, { name: 'refused', tone: 'warn', dashed: true }, { name: 'failed', tone: 'danger', dashed: true }] },
  { id: 'first', unit: 'seconds', lines: [{ name: 'ttft50', tone: 'accent' }, { name: 'ttft95', tone: 'warn', dashed: true }] },
  { id: 'token', unit: 'seconds', lines: [{ name: 'token50', tone: 'accent' }, { name: 'token95', tone: 'warn', dashed: true }] },
  { id: 'whole', unit: 'seconds', lines: [{ name: 'whole50', tone: 'accent' }, { name: 'whole95', tone: 'warn', dashed: true }] },
  { id: 'caches', unit: 'percent', lines: [{ name: 'kv', tone: 'warn' }, { name: 'prefixHits', tone: 'accent', dashed: true }, { name: 'pictureHits', tone: 'ok', dashed: true }, { name: 'encoderHits', tone: 'muted', dashed: true }] },
  { id: 'pictures', unit: 'perSecond', lines: [{ name: 'pictures', tone: 'accent' }] },
  { id: 'memory', unit: 'bytes', lines: [{ name: 'engineMemory', tone: 'accent' }, { name: 'webMemory', tone: 'ok', dashed: true }, { name: 'peakMemory', tone: 'muted', dashed: true }] },
  { id: 'cpu', unit: 'cores', lines: [{ name: 'engineCpu', tone: 'accent' }, { name: 'webCpu', tone: 'ok', dashed: true }] },
]

/** What stands above the charts, as numbers. */
export const TILES: readonly { name: LiveName; unit: Unit }[] = [
  { name: 'running', unit: 'count' },
  { name: 'waiting', unit: 'count' },
  { name: 'kv', unit: 'percent' },
  { name: 'ttft50', unit: 'seconds' },
  { name: 'ttft95', unit: 'seconds' },
  { name: 'token50', unit: 'seconds' },
  { name: 'generated', unit: 'perSecond' },
  { name: 'good', unit: 'perSecond' },
  { name: 'prefixHits', unit: 'percent' },
  { name: 'pictureHits', unit: 'percent' },
  { name: 'engineMemory', unit: 'bytes' },
  { name: 'webhooks', unit: 'count' },
]
