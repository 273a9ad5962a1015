import { ref } from 'vue'
import type { KeyKind } from '@/api/keys'
import { tryKey } from '@/api/server'
import type { Failure } from '@/types'

/** What stands in the field may have come with a paste: spaces, quotes, the word Bearer. */
export function cleanKey(text: string): string {
  return text
    .trim()
    .replace(/^bearer\s+/i, '')
    .replace(/^(["'])(.*)\1$/, '$2')
    .trim()
}

/** Headers hold visible ASCII; anything else is a slip (a full-width character, an ellipsis of a masked key). */
const isPossibleKey = (key: string): boolean => /^[\x21-\x7e]+$/.test(key)

type KeyProblem = 'empty' | 'impossible' | 'unknown' | 'notOperator' | 'unreachable' | 'other'

export function problemOf(kind: KeyKind, failure: Failure): KeyProblem {
  if (failure.code === 'unreachable') return 'unreachable'
  if (failure.status === 401) return 'unknown'
  if (failure.status === 403 && kind === 'admin') return 'notOperator'
  return 'other'
}

/** A key that is typed in: tried at the server before it is handed on, so that a wrong one is told at once. */
export function useKeyEntry() {
  const text = ref('')
  const busy = ref(false)
  const problem = ref<KeyProblem | null>(null)
  const said = ref('') // the server's words, with 'other'

  function reset(): void {
    text.value = ''
    problem.value = null
  }

  /** The key when the server takes it; null with `problem` set when not. */
  async function check(kind: KeyKind): Promise<string | null> {
    const key = cleanKey(text.value)
    problem.value = key === '' ? 'empty' : isPossibleKey(key) ? null : 'impossible'
    if (problem.value) return null
    busy.value = true
    const failure = await tryKey(kind, key)
    busy.value = false
    if (!failure) return key
    problem.value = problemOf(kind, failure)
    said.value = failure.message
    return null
  }

  return { text, busy, problem, said, check, reset }
}
