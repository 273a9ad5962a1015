/** The list as it is searched: titles at once, texts a moment later. */
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import { useConversations } from '@/stores/conversations'

const WAIT_MS = 200

export function useHistorySearch() {
  const store = useConversations()
  const words = ref('')
  const snippets = shallowRef<ReadonlyMap<string, string>>(new Map())
  let timer: ReturnType<typeof setTimeout> | undefined

  watch(words, (now) => {
    clearTimeout(timer)
    snippets.value = new Map()
    if (!now.trim()) return
    timer = setTimeout(async () => {
      const hits = await store.search(now)
      if (words.value === now) snippets.value = new Map(hits.map(({ conversationId, snippet }) => [conversationId, snippet]))
    }, WAIT_MS)
  })
  onScopeDispose(() => clearTimeout(timer))

  const found = computed(() => {
    const needle = words.value.trim().toLowerCase()
    if (!needle) return store.list
    return store.list.filter(({ id, title }) => title.toLowerCase().includes(needle) || snippets.value.has(id))
  })

  return { words, found, snippets }
}
