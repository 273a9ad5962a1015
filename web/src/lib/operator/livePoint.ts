/** What two scrapes of /metrics say about the time between them: the numbers of the operator's live page. */

import { byLabel, histogram, total, type Sample, type Scrape } from './prometheus'
import { between, mean, quantile } from './quantiles'
import { increase, rate, share, type Timed } from './series'

export const STAGES = ['fetch', 'draw', 'decode', 'preprocess', 'queue', 'encode', 'prefill', 'generate'] as const
export type Stage = (typeof STAGES)[number]

const STAGE_NAMES: Record<Stage, string> = {
  fetch: 'flashweb:image_fetch_seconds',
  draw: 'flashweb:document_page_draw_seconds',
  decode: 'flashweb:image_decode_seconds',
  preprocess: 'flashweb:image_preprocess_seconds',
  queue: 'vllm:request_queue_time_seconds',
  encode: 'flashweb:image_encode_seconds',
  prefill: 'vllm:request_prefill_time_seconds',
  generate: 'vllm:request_decode_time_seconds',
}

export type LiveName =
  | 'running' | 'waiting' | 'kv' | 'prefixHits' | 'pictureHits' | 'encoderHits'
  | 'ttft50' | 'ttft95' | 'token50' | 'token95' | 'whole50' | 'whole95'
  | 'generated' | 'prompted' | 'pictures'
  | 'good' | 'refused' | 'failed'
  | 'engineMemory' | 'webMemory' | 'peakMemory' | 'engineCpu' | 'webCpu' | 'webhooks'

export interface LivePoint extends Timed {
  values: Record<LiveName, number | null>
  stages: Record<Stage, number | null> // mean seconds
  codes: { code: string; count: number }[] // answers in the longer time, most first
}

export interface TimedScrape extends Timed {
  scrape: Scrape
}

/**
 * `short` is some seconds before `now`: rates follow what happens. `long` is about a minute before: quantiles and shares
 * need more than a handful of requests to say something.
 */
export function livePoint(short: TimedScrape, long: TimedScrape, now: TimedScrape): LivePoint {
  const [a, b] = [long.scrape, now.scrape]
  const ms = now.time - short.time
  const perSecond = (name: string, wanted?: (labels: Sample['labels']) => boolean) =>
    rate(total(short.scrape, name, wanted), total(b, name, wanted), ms)
  const gained = (name: string) => increase(total(a, name), total(b, name))
  const found = (name: string) => {
    const after = histogram(b, name)
    return after && between(histogram(a, name), after)
  }
  const quantiles = (name: string) => {
    const counted = found(name)
    return counted ? [quantile(counted, 0.5), quantile(counted, 0.95)] : [null, null]
  }
  const [ttft50 = null, ttft95 = null] = quantiles('vllm:time_to_first_token_seconds')
  const [token50 = null, token95 = null] = quantiles('vllm:inter_token_latency_seconds')
  const [whole50 = null, whole95 = null] = quantiles('vllm:e2e_request_latency_seconds')
  const answers = (from: number, to: number) =>
    perSecond('http_requests_total', (labels) => isCallers(labels) && Number(labels.status) >= from && Number(labels.status) < to) ?? (b.size ? 0 : null)
  return {
    time: now.time,
    values: {
      running: total(b, 'vllm:num_requests_running'),
      waiting: total(b, 'vllm:num_requests_waiting'),
      kv: total(b, 'vllm:kv_cache_usage_perc'),
      prefixHits: share(gained('vllm:prefix_cache_hits_total'), gained('vllm:prefix_cache_queries_total')),
      pictureHits: share(gained('vllm:mm_cache_hits_total'), gained('vllm:mm_cache_queries_total')),
      encoderHits: share(gained('flashweb:encoder_cache_hits_total'), gained('flashweb:encoder_cache_queries_total')),
      ttft50, ttft95, token50, token95, whole50, whole95,
      generated: perSecond('vllm:generation_tokens_total'),
      prompted: perSecond('vllm:prompt_tokens_total'),
      pictures: perSecond('flashweb:images_total'),
      good: answers(100, 400),
      refused: answers(400, 500),
      failed: answers(500, 600),
      engineMemory: total(b, 'flashweb_engine_process_resident_memory_bytes'),
      webMemory: total(b, 'process_resident_memory_bytes'),
      peakMemory: total(b, 'flashweb:engine_peak_memory_bytes'),
      engineCpu: perSecond('flashweb_engine_process_cpu_seconds_total'),
      webCpu: perSecond('process_cpu_seconds_total'),
      webhooks: total(b, 'flashweb:webhooks_pending'),
    },
    stages: Object.fromEntries(STAGES.map((stage) => {
      const counted = found(STAGE_NAMES[stage])
      return [stage, counted && mean(counted)]
    })) as Record<Stage, number | null>,
    codes: codesBetween(a, b),
  }
}

/** The operator's page asks every few seconds: that is not the load it wants to show. */
function isCallers(labels: Sample['labels']): boolean {
  return !labels.handler?.startsWith('/api/admin')
}

function codesBetween(before: Scrape, after: Scrape): { code: string; count: number }[] {
  const known = byLabel(before, 'http_requests_total', 'status', isCallers)
  return [...byLabel(after, 'http_requests_total', 'status', isCallers)]
    .map(([code, count]) => ({ code, count: increase(known.get(code) ?? 0, count) ?? 0 }))
    .filter(({ count }) => count > 0)
    .sort((one, other) => other.count - one.count)
}
