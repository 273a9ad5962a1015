/** What the server tells its operator: status, requests, and whether it lets us in. */
import { defineStore } from 'pinia'
import { ref, shallowRef, watch } from 'vue'
import { adminRequests, adminStatus, endRequest } from '@/api/admin'
import { ApiError } from '@/api/http'
import type { LoggedRequest } from '@/lib/operator/requestLog'
import type { AdminStatus } from '@/lib/operator/serverStatus'
import type { Failure } from '@/types'
import { useSettings } from './settings'

/** `needed`: no key yet; `wrong`: not known to the server; `user`: one for asking; `none`: the server has none at all. */
export type Access = 'unknown' | 'open' | 'needed' | 'wrong' | 'user' | 'none'

/** What a refusal says about the key; null for a failure of another kind. */
export function accessOf(failure: Failure, hadKey: boolean): Access | null {
  if (failure.status === 401) return hadKey ? 'wrong' : 'needed'
  if (failure.status !== 403) return null
  return failure.message.includes('--admin-key') ? 'none' : 'user'
}

export const useOperator = defineStore('operator', () => {
  const settings = useSettings()
  const access = ref<Access>(settings.adminKey === null ? 'needed' : 'unknown')
  const status = shallowRef<AdminStatus | null>(null)
  const statusTime = ref<number | null>(null)
  const requests = shallowRef<LoggedRequest[] | null>(null)
  const failure = shallowRef<Failure | null>(null)

  watch(() => settings.adminKey, (key) => {
    access.value = key === null ? 'needed' : 'unknown'
    if (key === null) [status.value, requests.value] = [null, null] // forgotten: nothing of it stays on the screen
  })

  /** Runs a question; a failure is kept to be shown, and true says that there was none. */
  async function asked(question: () => Promise<void>): Promise<boolean> {
    try {
      await question()
      access.value = 'open'
      failure.value = null
      return true
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const refused = accessOf(error.failure, settings.adminKey !== null)
      if (refused !== null) access.value = refused
      failure.value = refused === null ? error.failure : null
      return false
    }
  }

  const loadStatus = () => asked(async () => {
    status.value = await adminStatus()
    statusTime.value = Date.now()
  })
  const loadRequests = () => asked(async () => void (requests.value = await adminRequests()))

  /** The failure, if the request could not be ended: it may be over. */
  async function end(id: string): Promise<Failure | null> {
    try {
      await endRequest(id)
      return null
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return error.failure
    } finally {
      await loadRequests()
    }
  }

  return { access, status, statusTime, requests, failure, loadStatus, loadRequests, end }
})
