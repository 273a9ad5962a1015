/** Which answer the reader looks at: the one two fifths down. Asked when there was a scroll: to watch every answer of a
 * long conversation would cost something in every frame. */
import { onScopeDispose, shallowRef, watch, type Ref } from 'vue'

const PATIENCE = 20 // frames: after a jump what is there is drawn a moment later

export function useAnswerInView(scroller: Ref<HTMLElement | null>) {
  const inView = shallowRef<string | null>(null)
  let frame = 0
  let left = 0

  function look(): void {
    frame = 0
    const box = scroller.value?.getBoundingClientRect()
    if (!box || !document.elementFromPoint) return
    const there = document.elementFromPoint(box.left + box.width / 2, box.top + box.height * 0.4)
    const answer = there?.closest<HTMLElement>('[data-answer]')
    if (answer && scroller.value?.contains(answer)) inView.value = answer.dataset.answer ?? null
    else if (left-- > 0) frame = requestAnimationFrame(look) // between two answers the last one stays
  }

  function ask(): void {
    left = PATIENCE
    frame ||= requestAnimationFrame(look)
  }
  watch(scroller, (element, _, onCleanup) => {
    element?.addEventListener('scroll', ask, { passive: true })
    onCleanup(() => element?.removeEventListener('scroll', ask))
  }, { immediate: true, flush: 'post' })
  onScopeDispose(() => cancelAnimationFrame(frame))
  return inView
}
