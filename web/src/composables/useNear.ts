/** Whether an element is, or once was, near what is on the screen: what is far away can be shown more cheaply. */
import { onScopeDispose, ref, watch, type Ref } from 'vue'

const MARGIN = '900px 0px'
const waiting = new WeakMap<Element, () => void>()
let observer: IntersectionObserver | null = null

// One observer for all: each of its own would cost more than what it saves.
function shared(): IntersectionObserver | null {
  if (typeof IntersectionObserver === 'undefined') return null
  observer ??= new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) waiting.get(target)?.()
    },
    // `rootMargin` does not reach into a scrolled element; browsers without `scrollMargin` look when it comes into sight.
    { rootMargin: MARGIN, scrollMargin: MARGIN } as IntersectionObserverInit,
  )
  return observer
}

export function useNear(element: Ref<HTMLElement | null>, fromTheStart = false): Ref<boolean> {
  const watcher = shared()
  const near = ref(fromTheStart || watcher === null)
  let watched: Element | null = null

  function end(): void {
    if (watched) watcher?.unobserve(watched)
    watched = null
  }

  watch(element, (now) => {
    end()
    if (!now || near.value) return
    watched = now
    waiting.set(now, () => {
      near.value = true
      end()
    })
    watcher?.observe(now)
  }, { immediate: true, flush: 'post' })
  onScopeDispose(end)
  return near
}
