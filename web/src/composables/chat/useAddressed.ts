/** The conversation that the address names, and with `?message=` an answer in it, perhaps on another branch. */
import { computed, nextTick, onScopeDispose, ref, watch } from 'vue'
import { useRoute } from 'vue-router'
import { hearMove, newDraftKey } from '@/lib/history/newDraft'
import { useConversations } from '@/stores/conversations'

export interface Addressed {
  opened: (isNew: boolean) => void
  toAnswer: (id: string) => Promise<void> | undefined
  toEnd: () => void
}

/** `missing`: the address names a conversation that is not there. `key`: what stands for the one at hand, also while the list of
 * them is still being read, or for a new one. */
export function useAddressed({ opened, toAnswer, toEnd }: Addressed) {
  const route = useRoute()
  const store = useConversations()
  const missing = ref(false)
  const awaited = ref<string | null>(null)
  const newKey = ref(newDraftKey())
  onScopeDispose(hearMove((moved) => (newKey.value = moved)))
  const key = computed(() => store.currentId ?? awaited.value ?? newKey.value)

  async function goToAnswer(): Promise<boolean> {
    const { message } = route.query
    if (typeof message !== 'string' || !store.messages.has(message)) return false
    if (!store.path.some(({ id }) => id === message)) store.showBranch(message)
    await nextTick()
    await toAnswer(message)
    return true
  }

  watch(() => route.params.id, async (id) => {
    if (route.name !== 'home' && route.name !== 'chat') return // on the way to another page
    const wanted = typeof id === 'string' ? id : null
    awaited.value = wanted
    missing.value = !(await store.open(wanted))
    if (awaited.value === wanted) awaited.value = null
    await nextTick()
    opened(id === undefined)
    if (!(await goToAnswer())) toEnd()
  }, { immediate: true })
  watch(() => route.query.message, goToAnswer)

  return { missing, key }
}
