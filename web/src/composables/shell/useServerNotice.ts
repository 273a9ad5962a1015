import { computed } from 'vue'
import { useServer } from '@/stores/server'

const STAGES = ['import', 'weights', 'memory', 'warmup']

/** How far loading is: `/health` names the stage, in words of the engine's. */
export function stageOf(detail: string): { step: number; steps: number; name: string } | null {
  const name = detail === 'warming up' ? 'warmup' : detail
  const at = STAGES.indexOf(name)
  return at < 0 ? null : { step: at + 1, steps: STAGES.length, name }
}

export interface Notice {
  tone: 'info' | 'warn' | 'danger'
  key: string // of shell.banner
  detail: string // the server's own words, where they add something
  action: 'key' | 'check' | null
}

/** What the banner says about the server; null while all is well. */
export function useServerNotice() {
  const server = useServer()
  const stage = computed(() => (server.state === 'loading' ? stageOf(server.detail) : null))
  const notice = computed<Notice | null>(() => {
    switch (server.state) {
      case 'checking':
        return null
      case 'ready':
        return server.modelLoaded || !server.detail ? null : { tone: 'warn', key: 'lazyFailed', detail: server.detail, action: null }
      case 'loading':
        return { tone: 'info', key: 'loading', detail: stage.value ? '' : server.detail, action: null }
      case 'draining':
        return { tone: 'warn', key: 'draining', detail: '', action: null }
      case 'stalled':
        return { tone: 'warn', key: 'stalled', detail: server.detail, action: null }
      case 'dead':
        return { tone: 'danger', key: server.givenUp ? 'givenUp' : 'dead', detail: server.detail, action: null }
      case 'unreachable':
        return { tone: 'danger', key: 'unreachable', detail: '', action: 'check' }
      case 'key-needed':
        return { tone: 'warn', key: 'key-needed', detail: '', action: 'key' }
    }
  })
  /** Steps that are done, the one at hand in part. */
  const done = computed(() => (stage.value ? stage.value.step - 1 + (server.progress ?? 0) : 0))
  return { notice, stage, done, state: computed(() => server.state) }
}
