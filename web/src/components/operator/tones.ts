export type BadgeTone = 'ok' | 'warn' | 'danger' | 'info' | 'muted'

/** 499: nobody was left to get an answer. Null: none has begun. */
export function statusTone(status: number | null): BadgeTone {
  if (status === null) return 'info'
  if (status === 499) return 'muted'
  return status >= 500 ? 'danger' : status >= 400 ? 'warn' : 'ok'
}

const STATES: Record<string, BadgeTone> = { ok: 'ok', ready: 'ok', loading: 'info', off: 'muted', draining: 'warn', stalled: 'danger', dead: 'danger', stopped: 'warn', unreachable: 'danger' }

export function stateTone(state: string): BadgeTone {
  return STATES[state] ?? 'muted'
}
