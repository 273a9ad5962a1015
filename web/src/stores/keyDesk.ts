import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { setKeyDesk, type KeyKind } from '@/api/keys'
import type { Place } from '@/lib/stored'
import type { Failure } from '@/types'
import { useSettings } from './settings'

export interface Question {
  kind: KeyKind
  failure: Failure
  hadKey: boolean // one was sent and refused
}

/** Asks for a key once, however many requests wait for it. The dialog (components/shell/KeyDialog.vue) shows `question`. */
export const useKeyDesk = defineStore('keyDesk', () => {
  const settings = useSettings()
  const question = shallowRef<Question | null>(null)
  const waiting = ref<((key: string | null) => void)[]>([])

  const current = (kind: KeyKind): string | null => (kind === 'admin' ? settings.adminKey : settings.apiKey)

  function ask(kind: KeyKind, failure: Failure): Promise<string | null> {
    // Two kinds at once: the second is refused now and asks again with its next request.
    if (question.value && question.value.kind !== kind) return Promise.resolve(null)
    question.value ??= { kind, failure, hadKey: current(kind) !== null }
    return new Promise((resolve) => waiting.value.push(resolve))
  }

  function keep(kind: KeyKind, key: string | null, place: Place): void {
    if (kind === 'admin') {
      settings.keepAdminKey = place
      settings.adminKey = key
    } else {
      settings.keepKey = place
      settings.apiKey = key
    }
  }

  function settle(key: string | null): void {
    question.value = null
    for (const resolve of waiting.value.splice(0)) resolve(key)
  }

  function give(key: string, place: Place): void {
    if (question.value) keep(question.value.kind, key, place)
    settle(key)
  }

  setKeyDesk({ current, ask })
  return { question, ask, current, keep, give, dismiss: () => settle(null) }
})
