/** The operator's endpoints, and /metrics. Shapes are those of `admin_schemas.py`. */
import { parseMetrics, type Scrape } from '@/lib/prometheus'
import type { LoggedRequest } from '@/lib/requestLog'
import { request } from './http'

export interface WebProcess {
  pid: number
  workers: number
  started: number
  uptime_seconds: number
  requests_running: number
}

export interface KeyUsage {
  key: string | null
  requests: number
  errors: number
  prompt_tokens: number
  completion_tokens: number
  pictures: number
}

export interface DayUsage extends KeyUsage {
  day: string // UTC, as 2026-01-31
}

export interface AdminStatus {
  status: 'ok' | 'loading' | 'draining' | 'stalled' | 'dead' | 'stopped'
  ready: boolean
  detail: string
  versions: Record<string, string>
  web_process: WebProcess
  web_processes: WebProcess[]
  model: {
    name: string
    names: string[]
    dtype: string
    quantization: string
    quantization_reason: string
    max_model_len: number
    weight_bytes: number
  }
  engine: {
    phase: 'off' | 'loading' | 'ready' | 'stalled' | 'dead' | 'stopped'
    stage: string
    progress: number
    error: string
    gave_up: boolean
    device: string
    pid: number | null
    restarts: number
    running: number
    waiting: number
    max_num_seqs: number
    steps: number
    preemptions: number
    peak_memory_bytes: number
  }
  kv_cache: { block_size: number; blocks: number; used: number; free: number; bytes: number }
  prefix_cache: { queries: number; hits: number }
  encoder_cache: { queries: number; hits: number; entries: number; bytes: number }
  start_seconds: Record<string, number>
  limits: Record<string, number | string | null>
  settings: Record<string, string>
  usage: KeyUsage[]
  usage_by_day: DayUsage[]
}

/** Most that the server lists at once. */
export const ALL_REQUESTS = 500

function asked(adminKey: string | null, init: RequestInit = {}): RequestInit {
  return adminKey ? { ...init, headers: { authorization: `Bearer ${adminKey}` } } : init
}

export async function adminStatus(adminKey: string): Promise<AdminStatus> {
  const response = await request('/api/admin/status', asked(adminKey))
  return (await response.json()) as AdminStatus
}

export async function adminRequests(adminKey: string, limit = ALL_REQUESTS): Promise<LoggedRequest[]> {
  const response = await request(`/api/admin/requests?limit=${limit}`, asked(adminKey))
  return ((await response.json()) as { requests: LoggedRequest[] }).requests
}

export async function endRequest(adminKey: string, id: string): Promise<void> {
  await request(`/api/admin/requests/${encodeURIComponent(id)}`, asked(adminKey, { method: 'DELETE' }))
}

/** With the operator's key where there is one: the server takes it for every path. */
export async function metrics(adminKey: string | null): Promise<Scrape> {
  const response = await request('/metrics', asked(adminKey))
  return parseMetrics(await response.text())
}
