/** Two panes that scroll together: by share, since one answer may be longer than the other. */

import { onScopeDispose, watch, type Ref } from 'vue'

const share = (pane: HTMLElement) => pane.scrollTop / Math.max(1, pane.scrollHeight - pane.clientHeight)

export function useSharedScroll(left: Ref<HTMLElement | null>, right: Ref<HTMLElement | null>, on: () => boolean): void {
  let led: HTMLElement | null = null // the pane that was moved by the other; its own event must not answer
  const follow = (from: HTMLElement, to: HTMLElement) => () => {
    if (led === from) {
      led = null
      return
    }
    if (!on()) return
    const wanted = Math.round(share(from) * (to.scrollHeight - to.clientHeight))
    if (Math.abs(to.scrollTop - wanted) < 1) return
    led = to
    to.scrollTop = wanted
  }
  let release = () => {}
  watch(
    [left, right],
    ([one, other]) => {
      release()
      release = () => {}
      if (!one || !other) return
      const [a, b] = [follow(one, other), follow(other, one)]
      one.addEventListener('scroll', a, { passive: true })
      other.addEventListener('scroll', b, { passive: true })
      release = () => {
        one.removeEventListener('scroll', a)
        other.removeEventListener('scroll', b)
      }
    },
    { immediate: true, flush: 'post' },
  )
  onScopeDispose(() => release())
}
