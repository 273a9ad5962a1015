/** What `GET /api/admin/status` tells, by the names of `api/schemas/admin.py`. */

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
