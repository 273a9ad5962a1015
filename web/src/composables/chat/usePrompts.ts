import { computed, ref } from 'vue'
import { knownPrompts, ownOf, titleOf, type Prompt } from '@/lib/prompts'
import { readJson, write } from '@/lib/stored'
import { useSettings } from '@/stores/settings'

const NAME = 'prompts'
const own = ref<Prompt[] | null>(null)

/** The prompt library: one list for the whole page, kept in this browser. */
export function usePrompts() {
  const settings = useSettings()
  own.value ??= ownOf(readJson('browser', NAME))
  const keep = (next: Prompt[]) => {
    own.value = next
    return write('browser', NAME, JSON.stringify(next))
  }
  return {
    all: computed(() => [...(own.value ?? []), ...knownPrompts(settings.language)]),
    save: (text: string, title = titleOf(text)) => keep([{ id: `own-${Date.now().toString(36)}`, title, text, own: true }, ...(own.value ?? [])]),
    change: (id: string, title: string, text: string) => keep((own.value ?? []).map((item) => (item.id === id ? { ...item, title, text } : item))),
    remove: (id: string) => keep((own.value ?? []).filter((item) => item.id !== id)),
  }
}
