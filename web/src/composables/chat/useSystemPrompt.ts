import { computed, ref } from 'vue'
import { useConversations } from '@/stores/conversations'
import { useSettings } from '@/stores/settings'

/** The system prompt of the conversation that is shown; before there is one, it is kept for the first question. */
export function useSystemPrompt() {
  const store = useConversations()
  const settings = useSettings()
  const forNew = ref<string | null>(null)
  const prompt = computed(() => store.current?.systemPrompt ?? forNew.value ?? settings.defaultSystemPrompt)

  function save(text: string): void {
    if (store.current) store.patch(store.current.id, { systemPrompt: text })
    else forNew.value = text
  }

  /** The first question has taken it along. */
  const taken = () => void (forNew.value = null)

  return { prompt, save, taken }
}
