/** Whether an element is, or once was, near what is on the screen: what is far away can be shown more cheaply. */
import { onScopeDispose, ref, watch, type Ref } from 'vue'

const MARGIN = '900px 0px'
const told = new WeakMap<Element, () => void>()
const inLine = new Map<Element, number>() // with their distance from the middle of what is seen
let observer: IntersectionObserver | null = null
let frame = 0

// One observer for all: each of its own would cost more than what it saves.
function shared(): IntersectionObserver | null {
  if (typeof IntersectionObserver === 'undefined') return null
  // `rootMargin` does not reach into a scrolled element; browsers without `scrollMargin` look when it comes into sight.
  observer ??= new IntersectionObserver(look, { rootMargin: MARGIN, scrollMargin: MARGIN } as IntersectionObserverInit)
  return observer
}

function look(entries: readonly IntersectionObserverEntry[]): void {
  for (const { isIntersecting, target, boundingClientRect: { top, bottom } } of entries) {
    if (isIntersecting) inLine.set(target, Math.abs((top + bottom) / 2 - innerHeight / 2))
    else inLine.delete(target) // a reader who flies past needs nothing there
  }
  if (inLine.size > 0) frame ||= requestAnimationFrame(next)
}

/** One a frame, the nearest first: after a jump the page answers while the rest is drawn. */
function next(): void {
  frame = 0
  let nearest: Element | null = null
  for (const [element, distance] of inLine) if (nearest === null || distance < inLine.get(nearest)!) nearest = element
  if (nearest === null) return
  inLine.delete(nearest)
  told.get(nearest)?.()
  if (inLine.size > 0) frame = requestAnimationFrame(next)
}

export function useNear(element: Ref<HTMLElement | null>, fromTheStart = false): Ref<boolean> {
  const watcher = shared()
  const near = ref(fromTheStart || watcher === null)
  let watched: Element | null = null

  function end(): void {
    if (!watched) return
    watcher?.unobserve(watched)
    inLine.delete(watched)
    watched = null
  }

  watch(element, (now) => {
    end()
    if (!now || near.value) return
    watched = now
    told.set(now, () => {
      near.value = true
      end()
    })
    watcher?.observe(now)
  }, { immediate: true, flush: 'post' })
  onScopeDispose(end)
  return near
}
