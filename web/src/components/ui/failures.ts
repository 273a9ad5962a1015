import type { Failure } from '@/types'

type Say = (key: string) => string
type Knows = (key: string) => boolean

export interface FailureWords {
  cause: string // in the page's language where we know the code or the status
  detail?: string // the server's own words
  hint?: string
}

/** Statuses whose codes need no words of their own. */
function familyOf(status: number | undefined): string {
  if (status === undefined) return 'other'
  const own = [401, 403, 404, 413, 415, 429, 503, 504]
  if (own.includes(status)) return String(status)
  return status >= 500 ? '5xx' : status >= 400 ? '4xx' : 'other'
}

/** A failure in words: the code's where the locale has them, else the status's. */
export function wordsOf(failure: Failure, say: Say, knows: Knows): FailureWords {
  const byCode = `shell.failure.code.${failure.code}`
  const base = /^[a-z_]+$/.test(failure.code) && knows(`${byCode}.cause`) ? byCode : `shell.failure.status.${familyOf(failure.status)}`
  const cause = say(`${base}.cause`)
  return {
    cause,
    detail: failure.message === cause || !failure.message ? undefined : failure.message,
    hint: failure.hint ?? (knows(`${base}.hint`) ? say(`${base}.hint`) : undefined),
  }
}
