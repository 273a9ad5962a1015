import type { Failure } from '@/types'

/** The operator's key goes to `/api/admin`, and to `/metrics` while the operator looks at its numbers (admin.ts); questions
 * never carry it, and the user's key is never sent to `/api/admin`. */
export type KeyKind = 'user' | 'admin'

/** Who keeps the keys and asks the user for them; `api/` itself remembers nothing. */
export interface KeyDesk {
  current(kind: KeyKind): string | null
  /** The key the user gave upon being asked, null if they would rather not. */
  ask(kind: KeyKind, failure: Failure): Promise<string | null>
}

const nobody: KeyDesk = { current: () => null, ask: async () => null }
let desk = nobody

export function setKeyDesk(next: KeyDesk | null): void {
  desk = next ?? nobody
}

export const keyDesk = (): KeyDesk => desk

export function keyKindOf(path: string): KeyKind {
  return /^\/api\/admin(?:[/?]|$)/.test(path) ? 'admin' : 'user'
}
