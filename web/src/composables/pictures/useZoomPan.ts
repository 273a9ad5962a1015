import { computed, onMounted, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { fitView, keepInside, viewOn, zoomAt, type View } from '@/lib/boxes/overlay'
import type { Point, Rect, Size } from '@/types'

const STEP = 1.3
const ARROWS: Record<string, Point> = { ArrowLeft: { x: 1, y: 0 }, ArrowRight: { x: -1, y: 0 }, ArrowUp: { x: 0, y: 1 }, ArrowDown: { x: 0, y: -1 } }
const STILL = 5 // px a pointer may move and still be a click

/** A picture in a stage: wheel, pinch, drag, double click, keys. `fit` holds until the reader zooms, also when the stage changes. */
export function useZoomPan(stage: Readonly<Ref<HTMLElement | null>>, picture: Readonly<Ref<Size>>) {
  const room = shallowRef<Size>({ width: 0, height: 0 })
  const view = shallowRef<View>({ scale: 1, x: 0, y: 0 })
  const fitted = ref(true)
  const pointers = new Map<number, Point>()
  let moved = 0

  const middle = () => ({ x: room.value.width / 2, y: room.value.height / 2 })
  const fit = () => {
    fitted.value = true
    view.value = fitView(picture.value, room.value)
  }
  const go = (next: View) => {
    view.value = next
    fitted.value = next.scale <= fitView(picture.value, room.value).scale * 1.001
  }
  const zoom = (factor: number, at: Point = middle()) => go(zoomAt(view.value, factor, at, picture.value, room.value))
  const move = (dx: number, dy: number) => (view.value = keepInside({ ...view.value, x: view.value.x + dx, y: view.value.y + dy }, picture.value, room.value))
  const show = (rect: Rect) => go(viewOn(rect, view.value, picture.value, room.value))
  const actualSize = () => zoom(1 / view.value.scale)

  function at(event: MouseEvent): Point {
    const bounds = stage.value?.getBoundingClientRect()
    return { x: event.clientX - (bounds?.left ?? 0), y: event.clientY - (bounds?.top ?? 0) }
  }

  function wheel(event: WheelEvent): void {
    const before = view.value
    // A notch of a mouse wheel is about 100 px or 3 lines; a pinch on a touchpad comes as small steps with Ctrl.
    const delta = event.deltaY * (event.deltaMode === 1 ? 33 : 1) * (event.ctrlKey ? 4 : 1)
    zoom(Math.exp(-Math.max(-240, Math.min(240, delta)) / 480), at(event))
    if (view.value.scale !== before.scale || event.ctrlKey) event.preventDefault() // else the page scrolls on
  }

  function down(event: PointerEvent): void {
    if (event.button > 0) return
    if (!pointers.size) moved = 0
    pointers.set(event.pointerId, at(event))
  }

  function drag(event: PointerEvent): void {
    const last = pointers.get(event.pointerId)
    if (!last) return
    const now = at(event)
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1]
    moved += Math.hypot(now.x - last.x, now.y - last.y)
    // Captured only once it is a drag: a click still belongs to what lies under it.
    if (moved > STILL) stage.value?.setPointerCapture?.(event.pointerId)
    if (other) {
      const factor = distance(now, other) / Math.max(1, distance(last, other))
      zoom(factor, { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 })
      move((now.x - last.x) / 2, (now.y - last.y) / 2)
    } else if (moved > STILL) move(now.x - last.x, now.y - last.y)
    pointers.set(event.pointerId, now)
  }

  function up(event: PointerEvent): void {
    pointers.delete(event.pointerId)
  }

  function key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const arrow = ARROWS[event.key]
    if (arrow && !fitted.value) move(arrow.x * 60, arrow.y * 60)
    else if (event.key === '+' || event.key === '=') zoom(STEP)
    else if (event.key === '-') zoom(1 / STEP)
    else if (event.key === '0') fit()
    else if (event.key === '1') actualSize()
    else return
    event.preventDefault()
  }

  const observer = typeof ResizeObserver === 'undefined' ? null : new ResizeObserver(measure)
  function measure(): void {
    room.value = { width: stage.value?.clientWidth ?? 0, height: stage.value?.clientHeight ?? 0 }
  }
  onMounted(() => {
    measure()
    if (stage.value) observer?.observe(stage.value)
  })
  onScopeDispose(() => observer?.disconnect())
  watch([room, picture], () => (fitted.value ? fit() : go(keepInside(view.value, picture.value, room.value))), { immediate: true })

  return {
    view, room, fitted, at, fit, show, actualSize,
    percent: computed(() => Math.round(view.value.scale * 100)),
    zoomIn: () => zoom(STEP),
    zoomOut: () => zoom(1 / STEP),
    wasDragged: () => moved > STILL,
    on: { wheel, pointerdown: down, pointermove: drag, pointerup: up, pointercancel: up, keydown: key },
  }
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}
