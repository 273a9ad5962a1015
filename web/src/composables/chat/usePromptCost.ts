import { computed, onScopeDispose, ref, watch } from 'vue'
import { countText } from '@/api/tokens'
import { costOfFiles, guessTokens } from '@/lib/promptCost'
import { useServer } from '@/stores/server'
import type { Attachment } from '@/types'

const PAUSE_MS = 700

/** The tokens of what is about to be asked: guessed at once, counted by the server when the typing pauses. */
export function usePromptCost(text: () => string, attachments: () => readonly Attachment[], pagesOf: (id: string) => number | null) {
  const server = useServer()
  const textTokens = ref(guessTokens(text()))
  let timer: ReturnType<typeof setTimeout> | undefined
  let asked: AbortController | undefined

  watch(text, (now) => {
    clearTimeout(timer)
    asked?.abort()
    textTokens.value = guessTokens(now)
    if (now.trim() === '' || server.state !== 'ready') return
    timer = setTimeout(async () => {
      const mine = (asked = new AbortController())
      const counted = await countText(now, mine.signal).catch(() => null)
      if (counted !== null && !mine.signal.aborted) textTokens.value = counted
    }, PAUSE_MS)
  })
  onScopeDispose(() => {
    clearTimeout(timer)
    asked?.abort()
  })

  const files = computed(() => costOfFiles(attachments(), pagesOf))
  return { files, total: computed(() => textTokens.value + files.value.tokens) }
}
