import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'

/**
 * What `make` gives, made again when `sources` change. While `streaming`, at most once a frame; and after a frame that took
 * long (scripts, layout and paint) nothing is made for one and a half times as long: the page keeps 3/5 of its time.
 */
export function usePaced<T>(make: () => T, sources: () => unknown, streaming: () => boolean): Readonly<ShallowRef<T>> {
  const made = shallowRef<T>(make())
  let frame = 0
  let notBefore = 0

  function now(): void {
    const began = performance.now()
    made.value = make()
    // Set in a frame, this runs when the frame has been painted.
    setTimeout(() => (notBefore = performance.now() + (performance.now() - began) * 1.5))
  }

  function whenReady(): void {
    if (performance.now() < notBefore) frame = requestAnimationFrame(whenReady)
    else {
      frame = 0
      now()
    }
  }

  watch([sources, streaming], () => {
    if (streaming()) frame ||= requestAnimationFrame(whenReady)
    else {
      cancelAnimationFrame(frame)
      frame = 0
      now()
    }
  })
  onScopeDispose(() => cancelAnimationFrame(frame))
  return made
}
