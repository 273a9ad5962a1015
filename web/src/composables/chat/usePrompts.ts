import { computed, ref } from 'vue'
import { knownPrompts, readOwn, titleOf, writeOwn, type Prompt } from '@/lib/prompts'
import { useSettings } from '@/stores/settings'

const own = ref<Prompt[] | null>(null)

/** The prompt library: one list for the whole page, kept in this browser. */
export function usePrompts() {
  const settings = useSettings()
  own.value ??= readOwn(localStorage)
  const keep = (next: Prompt[]) => {
    own.value = next
    return writeOwn(localStorage, next)
  }
  return {
    all: computed(() => [...(own.value ?? []), ...knownPrompts(settings.language)]),
    save: (text: string, title = titleOf(text)) => keep([{ id: `own-${Date.now().toString(36)}`, title, text, own: true }, ...(own.value ?? [])]),
    change: (id: string, title: string, text: string) => keep((own.value ?? []).map((item) => (item.id === id ? { ...item, title, text } : item))),
    remove: (id: string) => keep((own.value ?? []).filter((item) => item.id !== id)),
  }
}
