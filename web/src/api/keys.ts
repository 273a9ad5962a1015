import type { Failure } from '@/types'

/** The operator's key opens `/api/admin` and is never sent elsewhere, nor is the other one sent there. */
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
