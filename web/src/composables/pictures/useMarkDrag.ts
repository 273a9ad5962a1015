import type { ShallowRef } from 'vue'
import { drawn, moved, resized } from '@/lib/scenes/marks'
import type { Box, Point } from '@/types'

/** Moving, enlarging and drawing a box with mouse, finger or pen, in per mille of the page. */
export function useMarkDrag(svg: Readonly<ShallowRef<SVGSVGElement | null>>, change: (id: string, box: Box) => void, drew: () => void) {
  function pointOf(event: PointerEvent): Point {
    const page = svg.value!.getBoundingClientRect()
    return { x: (1000 * (event.clientX - page.left)) / page.width, y: (1000 * (event.clientY - page.top)) / page.height }
  }

  /** Follows the pointer until it is let go, wherever it goes. */
  function follow(event: PointerEvent, move: (to: Point) => void, end?: (at: Point) => void): void {
    event.preventDefault()
    const target = svg.value!
    target.setPointerCapture(event.pointerId)
    const over = new AbortController()
    const options = { signal: over.signal }
    target.addEventListener('pointermove', (next) => move(pointOf(next)), options)
    target.addEventListener('pointerup', (next) => { over.abort(); end?.(pointOf(next)) }, options)
    target.addEventListener('pointercancel', () => over.abort(), options)
  }

  function grab(event: PointerEvent, id: string, box: Box, corner: boolean): void {
    if (event.button !== 0) return
    ;(event.currentTarget as SVGElement).parentElement?.focus()
    const from = pointOf(event)
    follow(event, (to) => change(id, (corner ? resized : moved)(box, to.x - from.x, to.y - from.y)))
  }

  function draw(event: PointerEvent, id: string): void {
    if (event.button !== 0) return
    const from = pointOf(event)
    follow(event, (to) => change(id, drawn(from, to)), (to) => { change(id, drawn(from, to)); drew() })
  }

  return { grab, draw }
}
