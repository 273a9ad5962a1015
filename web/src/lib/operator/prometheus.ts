/** Prometheus' text format, as far as a page needs it: samples by name, sums, and histograms. */

export interface Sample {
  labels: Readonly<Record<string, string>>
  value: number
}

/** One answer of /metrics: a name's samples, one for each set of labels. */
export type Scrape = ReadonlyMap<string, readonly Sample[]>

/** Buckets are cumulative and in order; the last one's edge is infinite. */
export interface Histogram {
  buckets: { edge: number; count: number }[]
  sum: number
  count: number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g
const ESCAPED: Record<string, string> = { n: '\n', '\\': '\\', '"': '"' }

/** A line that is none of the format's is left out: a page that shows the rest helps more than one that shows nothing. */
export function parseMetrics(text: string): Scrape {
  const found = new Map<string, Sample[]>()
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue
    const match = LINE.exec(line.split(' # ', 1)[0] ?? '') // what follows " # " is an exemplar
    if (!match) continue
    const [, name = '', labels = '', number = ''] = match
    const value = toNumber(number)
    if (value === null) continue
    const samples = found.get(name) ?? []
    samples.push({ labels: toLabels(labels), value })
    found.set(name, samples)
  }
  return found
}

function toNumber(text: string): number | null {
  if (/^[+-]?Inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  if (/^NaN$/i.test(text)) return NaN
  const value = Number(text)
  return Number.isNaN(value) ? null : value
}

function toLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(LABEL)) labels[name] = value.replace(/\\(.)/g, (_, c: string) => ESCAPED[c] ?? c)
  return labels
}

/** The sum over all label sets that `wanted` lets through; null when the server has no such series. */
export function total(scrape: Scrape, name: string, wanted: (labels: Sample['labels']) => boolean = () => true): number | null {
  const samples = scrape.get(name)?.filter((sample) => wanted(sample.labels))
  return samples?.length ? samples.reduce((sum, sample) => sum + sample.value, 0) : null
}

/** Sums by the values of one label. */
export function byLabel(scrape: Scrape, name: string, label: string, wanted: (labels: Sample['labels']) => boolean = () => true): Map<string, number> {
  const sums = new Map<string, number>()
  for (const sample of scrape.get(name) ?? []) {
    const value = sample.labels[label]
    if (value !== undefined && wanted(sample.labels)) sums.set(value, (sums.get(value) ?? 0) + sample.value)
  }
  return sums
}

/** The histogram of this name, its label sets added up; null when there is none. */
export function histogram(scrape: Scrape, name: string): Histogram | null {
  const counts = new Map<number, number>()
  for (const sample of scrape.get(`${name}_bucket`) ?? []) {
    const edge = toNumber(sample.labels.le ?? '')
    if (edge !== null) counts.set(edge, (counts.get(edge) ?? 0) + sample.value)
  }
  if (counts.size === 0) return null
  const buckets = [...counts].map(([edge, count]) => ({ edge, count })).sort((a, b) => a.edge - b.edge)
  return { buckets, sum: total(scrape, `${name}_sum`) ?? 0, count: total(scrape, `${name}_count`) ?? buckets.at(-1)?.count ?? 0 }
}
