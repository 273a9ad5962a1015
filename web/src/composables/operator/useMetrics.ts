/** The last half hour of /metrics, kept while the page lives: leaving the operator's view leaves a gap, not a loss. */
import { computed, readonly, ref, shallowRef, watch } from 'vue'
import { metrics } from '@/api/admin'
import { ApiError } from '@/api/http'
import { livePoint, type LivePoint, type TimedScrape } from '@/lib/operator/livePoint'
import { since, youngerThan } from '@/lib/operator/series'
import { useKeyDesk } from '@/stores/keyDesk'
import { useSettings } from '@/stores/settings'
import type { Failure } from '@/types'
import { useRepeated } from './useRepeated'

export const EVERY_MS = 2_000
export const SHORT_MS = 10_000
export const LONG_MS = 60_000
const KEPT_MS = 30 * 60_000

const points = shallowRef<LivePoint[]>([])
const failure = shallowRef<Failure | null>(null)
let scrapes: TimedScrape[] = []

function take(now: TimedScrape): void {
  scrapes = youngerThan([...scrapes, now], LONG_MS)
  const point = livePoint(since(scrapes, SHORT_MS) ?? now, since(scrapes, LONG_MS) ?? now, now)
  points.value = youngerThan([...points.value, point], KEPT_MS)
}

export function useMetrics() {
  const settings = useSettings()
  const desk = useKeyDesk()
  const frozen = shallowRef<LivePoint[] | null>(null) // paused: what was shown then, while gathering goes on
  const wanted = ref(true)

  async function look(): Promise<void> {
    try {
      take({ time: Date.now(), scrape: await metrics(settings.adminKey) })
      failure.value = null
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      failure.value = error.failure
      wanted.value = error.failure.status !== 401 && error.failure.status !== 403 // every two seconds the same refusal
    }
  }
  useRepeated(look, EVERY_MS, wanted)
  watch(() => [settings.apiKey, settings.adminKey], () => (wanted.value = true))

  const keyMissing = computed(() => failure.value?.status === 401)
  const enterKey = () => void (failure.value && desk.ask('user', failure.value))

  return {
    points: computed(() => frozen.value ?? points.value),
    paused: computed(() => frozen.value !== null),
    failure: readonly(failure),
    keyMissing,
    enterKey,
    togglePause: () => void (frozen.value = frozen.value === null ? points.value : null),
    retry: () => (wanted.value ? look() : void (wanted.value = true)),
  }
}
