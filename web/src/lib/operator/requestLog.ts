/** The operator's list of requests: what it holds, and which of it are asked for. */

export interface LoggedRequest {
  id: string
  web_process: number
  state: 'running' | 'finished'
  time: number // Unix seconds
  method: string
  path: string
  key: string | null
  status: number | null
  latency_ms: number
  timings_ms: Readonly<Record<string, number>> | null
  usage: {
    prompt_tokens: number
    completion_tokens: number
    cached_tokens: number
    image_tokens: number
    reasoning_tokens: number
  }
  pictures: { width: number; height: number; bytes: number | null }[]
  image_hash: string | null
  finish_reasons: string[]
  error_code: string | null
}

/** `asked`: all but what a page or a client only looks up before it asks. */
export type Which = 'asked' | 'all' | 'running' | 'good' | 'failed' | 'slow' | 'pictures'
export const WHICH: readonly Which[] = ['asked', 'all', 'running', 'good', 'failed', 'slow', 'pictures']

// Every open page of ours does this: names and limits of the model, scenes, the version, the tokens of what is typed.
const LOOKUPS = new Set(['GET /v1/models', 'GET /api/scenes', 'GET /openapi.json', 'POST /tokenize'])

export interface RequestFilter {
  which: Which
  path: string // '' for every one
  key: string | null | undefined // undefined for every one; null: requests without a key
  text: string // of an id, a path, a key's name, an error's code
  slowMs: number
}

export function filtered(requests: readonly LoggedRequest[], filter: RequestFilter): LoggedRequest[] {
  const text = filter.text.trim().toLowerCase()
  return requests.filter(
    (one) =>
      isWhich(one, filter) &&
      (filter.path === '' || one.path === filter.path) &&
      (filter.key === undefined || one.key === filter.key) &&
      (text === '' || [one.id, one.path, one.key ?? '', one.error_code ?? ''].some((word) => word.toLowerCase().includes(text))),
  )
}

/** A 499 is a client that left: not a failure of the server, but nobody got an answer either. */
function isFailed(one: LoggedRequest): boolean {
  return (one.status ?? 0) >= 400 || one.error_code !== null
}

function isWhich(one: LoggedRequest, { which, slowMs, path, text }: RequestFilter): boolean {
  switch (which) {
    case 'asked': return !LOOKUPS.has(`${one.method} ${one.path}`) || path !== '' || text.trim() !== '' // what is named is meant
    case 'all': return true
    case 'running': return one.state === 'running'
    case 'good': return one.state === 'finished' && !isFailed(one)
    case 'failed': return isFailed(one)
    case 'slow': return one.latency_ms >= slowMs
    case 'pictures': return one.pictures.length > 0
  }
}

export interface StageTime {
  stage: string
  ms: number
  share: number // of the whole
}

const ORDER = ['fetch', 'decode', 'preprocess', 'queue', 'encode', 'prefill', 'decode_tokens']

/** The stages that took time, in their order, and what is in none of them as "other". */
export function stagesOf(one: LoggedRequest): StageTime[] {
  const timings = one.timings_ms
  if (timings === null) return []
  const stages = ORDER.map((stage) => ({ stage, ms: timings[stage] ?? 0 })).filter(({ ms }) => ms > 0)
  const sum = stages.reduce((ms, stage) => ms + stage.ms, 0)
  const whole = Math.max(timings.total ?? one.latency_ms, sum) // pictures that are read side by side overlap
  if (whole - sum >= 0.5) stages.push({ stage: 'other', ms: whole - sum })
  return stages.map(({ stage, ms }) => ({ stage, ms, share: whole > 0 ? ms / whole : 0 }))
}

/** Tokens of the answer per second of its generation; null where there is none. */
export function tokensPerSecond(one: LoggedRequest): number | null {
  const ms = one.timings_ms?.decode_tokens ?? 0
  return ms > 0 && one.usage.completion_tokens > 1 ? (1000 * (one.usage.completion_tokens - 1)) / ms : null
}

export function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)]
}
