/** Which answer the reader looks at: the one across a line two fifths down. */
import { onScopeDispose, shallowRef, watch, type Ref } from 'vue'

export function useAnswerInView(scroller: Ref<HTMLElement | null>) {
  const inView = shallowRef<string | null>(null)
  const known = new Map<string, Element>()
  let observer: IntersectionObserver | null = null

  watch(scroller, (root) => {
    observer?.disconnect()
    observer = null
    if (!root || typeof IntersectionObserver === 'undefined') return
    observer = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          const id = (target as HTMLElement).dataset.answer
          if (isIntersecting && id) inView.value = id
        }
      },
      { root, rootMargin: '-40% 0px -59% 0px' },
    )
    for (const element of known.values()) observer.observe(element)
  }, { immediate: true, flush: 'post' })

  function track(id: string, element: Element | null): void {
    const before = known.get(id)
    if (before === element) return
    if (before) observer?.unobserve(before)
    if (element) {
      known.set(id, element)
      observer?.observe(element)
    } else {
      known.delete(id)
    }
  }

  onScopeDispose(() => observer?.disconnect())
  return { inView, track }
}
