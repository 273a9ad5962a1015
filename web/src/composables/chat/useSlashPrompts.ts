import { computed, ref, watch } from 'vue'
import { matching, slashOf } from '@/lib/prompts'
import { usePrompts } from './usePrompts'

const MOST = 8

/** "/" at the beginning of the question looks for a prompt: arrows choose, Enter or Tab takes it, Escape leaves it. */
export function useSlashPrompts(text: () => string, take: (chosen: string) => void) {
  const { all } = usePrompts()
  const active = ref(0)
  const left = ref(false)
  const typed = computed(() => slashOf(text()))
  const found = computed(() => (typed.value === null ? [] : matching(all.value, typed.value).slice(0, MOST)))
  const open = computed(() => !left.value && found.value.length > 0)

  watch(typed, (now) => {
    active.value = 0
    if (now === null) left.value = false
  })

  function choose(index: number): void {
    const prompt = found.value[index]
    if (prompt) take(prompt.text)
  }

  /** True when the key was meant for the list. */
  function onKeydown(event: KeyboardEvent): boolean {
    if (!open.value || event.isComposing || event.keyCode === 229) return false
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) active.value = (active.value + step + found.value.length) % found.value.length
    else if (event.key === 'Tab' || (event.key === 'Enter' && !event.ctrlKey && !event.metaKey)) choose(active.value)
    else if (event.key === 'Escape') left.value = true
    else return false
    event.preventDefault()
    return true
  }

  return { open, found, active, choose, onKeydown }
}
