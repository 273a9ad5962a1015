import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'
import { BlockStream, type Block } from '@/lib/markdown/blocks'

/**
 * The blocks of a text that may still be growing. While it grows they are made at most once a frame, and after a frame
 * that took long the next one waits as long again and a half: an answer never takes more than 2/5 of the page's time.
 */
export function useBlocks(text: () => string, streaming: () => boolean): ShallowRef<readonly Block[]> {
  const stream = new BlockStream()
  const blocks = shallowRef<readonly Block[]>(stream.update(text(), streaming()))
  let frame = 0
  let notBefore = 0

  function make(): void {
    const began = performance.now()
    blocks.value = stream.update(text(), streaming())
    // Vue patches after this; a task behind it sees the whole cost.
    setTimeout(() => (notBefore = performance.now() + (performance.now() - began) * 1.5))
  }

  function whenReady(): void {
    if (performance.now() < notBefore) frame = requestAnimationFrame(whenReady)
    else {
      frame = 0
      make()
    }
  }

  watch([text, streaming], ([, grows]) => {
    if (grows) frame ||= requestAnimationFrame(whenReady)
    else {
      cancelAnimationFrame(frame)
      frame = 0
      make()
    }
  })
  onScopeDispose(() => cancelAnimationFrame(frame))
  return blocks
}
