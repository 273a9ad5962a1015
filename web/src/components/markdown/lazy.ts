/** Markdown, its formulas and its colours are a third of the page: they are fetched beside it, not before it. */
import { defineAsyncComponent } from 'vue'

const load = () => import('./MarkdownView.vue')

export const MarkdownView = defineAsyncComponent(load)

/** Fetches it while there is nothing else to do, so that the first answer need not wait for it. */
export function prefetchMarkdown(): void {
  const fetchIt = () => void load().catch(() => undefined) // asked for again where it is shown, and told there
  if (typeof requestIdleCallback === 'undefined') setTimeout(fetchIt, 1000)
  else requestIdleCallback(fetchIt, { timeout: 3000 })
}
