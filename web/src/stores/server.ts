import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import { ApiError, watchFailures } from '@/api/http'
import { keyKindOf } from '@/api/keys'
import { gaveUp, health, listModels, serverVersion, type DefaultSampling, type HealthStatus } from '@/api/server'
import type { Limits } from '@/lib/limits'
import { useSettings } from './settings'

export type ServerState = 'checking' | 'ready' | 'loading' | 'draining' | 'stalled' | 'dead' | 'unreachable' | 'key-needed'

const STATES: Record<HealthStatus, ServerState> = {
  ok: 'ready',
  loading: 'loading',
  draining: 'draining',
  stopped: 'draining',
  stalled: 'stalled',
  dead: 'dead',
}

/** What we know of the server: asked with `check()` (composables/useServerWatch.ts does), and whenever a request fails. */
export const useServer = defineStore('server', () => {
  const settings = useSettings()
  const healthState = ref<ServerState>('checking')
  const keyNeeded = ref(false)
  const detail = ref('')
  const model = ref('')
  const modelLoaded = ref(true)
  const givenUp = ref(false) // with state 'dead': the engine is not started again
  const models = ref<string[]>([])
  const maxModelLen = ref<number | null>(null)
  const defaults = shallowRef<DefaultSampling | null>(null) // of sampling
  const limits = shallowRef<Limits | null>(null)
  const progress = ref<number | null>(null) // of the stage of loading, 0 to 1
  const version = ref('')

  const state = computed<ServerState>(() => (healthState.value === 'ready' && keyNeeded.value ? 'key-needed' : healthState.value))
  /** Sending makes sense: with 'key-needed' it asks for the key, with 'checking' the answer is a moment away. */
  const canSend = computed(() => ['ready', 'checking', 'key-needed'].includes(state.value))
  /** Why sending makes none: a key below `composer.why`. */
  const whyNot = computed(() => (canSend.value ? null : `server.${state.value}`))

  let running: Promise<void> | null = null
  const check = (): Promise<void> => (running ??= look().finally(() => (running = null)))

  async function look(): Promise<void> {
    const now = await health()
    const next = now === null ? 'unreachable' : STATES[now.status]
    if (now !== null) {
      if (now.model !== model.value) models.value = [] // another server, other names
      model.value = now.model
      modelLoaded.value = now.model_loaded
    }
    detail.value = now?.detail ?? ''
    progress.value = now?.progress ?? null
    givenUp.value = next === 'dead' && (await gaveUp())
    const cameBack = next === 'ready' && healthState.value !== 'ready'
    healthState.value = next
    // Not awaited: the state is known. Nobody is asked for a key who has only opened the page (the operator has another).
    if (next === 'ready' && !keyNeeded.value && (cameBack || models.value.length === 0 || !maxModelLen.value)) void loadModels(false)
  }

  let loading = false
  async function loadModels(askForKey = true): Promise<void> {
    if (loading) return
    loading = true
    try {
      const list = await listModels(askForKey)
      models.value = list.names
      maxModelLen.value = list.maxModelLen
      defaults.value = list.defaults
      limits.value = list.limits
      keyNeeded.value = false
    } catch (error) {
      if (!(error instanceof ApiError)) throw error // else the watcher below has heard it
    } finally {
      loading = false
    }
  }

  async function loadVersion(): Promise<void> {
    if (version.value) return
    version.value = await serverVersion().catch(() => '')
  }

  // Given: does it open the door? Forgotten: was it needed? Whoever has just forgotten it is not asked for it at once.
  watch(() => settings.apiKey, () => void loadModels(false))
  watchFailures((failure, path) => {
    if (failure.status === 401 && keyKindOf(path) === 'user') keyNeeded.value = true
    else if (failure.code === 'unreachable' || failure.status === 503) void check()
  })

  return { state, detail, model, modelLoaded, givenUp, models, maxModelLen, defaults, limits, progress, version, canSend, whyNot, check, loadModels, loadVersion }
})
