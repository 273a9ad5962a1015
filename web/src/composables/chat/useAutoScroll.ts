/** Keeps a growing text's end in view while the reader is there, and leaves the reader alone otherwise. `wanted`: not for a
 * text that is read from its beginning. */
import { onScopeDispose, ref, watch, type Ref } from 'vue'

const NEAR_PX = 64

export function useAutoScroll(scroller: Ref<HTMLElement | null>, content: Ref<HTMLElement | null>, wanted: () => boolean = () => true) {
  const atEnd = ref(true)
  let expected = -1 // where we put it: a scroll to there is not the reader's

  function toEnd(): void {
    const element = scroller.value
    if (!element || !wanted()) return
    atEnd.value = true
    element.scrollTop = element.scrollHeight
    expected = element.scrollTop
  }

  function look(): void {
    const element = scroller.value
    if (!element) return
    const isNear = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX
    // Only a move upwards lets go: content that grows below is no wish of the reader's.
    if (isNear) atEnd.value = true
    else if (element.scrollTop < expected - 2) atEnd.value = false
    expected = element.scrollTop
  }

  const observer = typeof ResizeObserver === 'undefined' ? null : new ResizeObserver(() => atEnd.value && toEnd())
  watch([scroller, content], ([outer, inner], _, onCleanup) => {
    if (!outer || !inner) return
    outer.addEventListener('scroll', look, { passive: true })
    observer?.observe(inner)
    observer?.observe(outer) // a keyboard that opens makes it lower
    onCleanup(() => {
      outer.removeEventListener('scroll', look)
      observer?.disconnect()
    })
  }, { immediate: true, flush: 'post' })
  onScopeDispose(() => observer?.disconnect())

  return { atEnd, toEnd }
}
