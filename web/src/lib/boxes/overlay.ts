/** Boxes on a picture: where they lie at each zoom, which colours they have, where their names find room. Pure geometry. */
import type { Box, Point, Rect, Size } from '@/types'
import type { FoundBox } from './boxes'

/** A point of the picture, in its pixels, lies at `scale * point + offset` of the stage. */
export interface View extends Point {
  scale: number
}

const MOST_PIXELS_WIDE = 16 // of the stage, for one of the picture: no closer than this

export function rectOf([x0, y0, x1, y1]: Box, { width, height }: Size): Rect {
  return { x: (x0 * width) / 1000, y: (y0 * height) / 1000, width: ((x1 - x0) * width) / 1000, height: ((y1 - y0) * height) / 1000 }
}

/** The whole pixels a box touches, as the server counts them: x1 and y1 lie behind the last one. */
export function pixelsOf([x0, y0, x1, y1]: Box, { width, height }: Size): [number, number, number, number] {
  return [Math.floor((x0 * width) / 1000), Math.floor((y0 * height) / 1000), Math.ceil((x1 * width) / 1000), Math.ceil((y1 * height) / 1000)]
}

export function onStage(rect: Rect, view: View): Rect {
  return { x: rect.x * view.scale + view.x, y: rect.y * view.scale + view.y, width: rect.width * view.scale, height: rect.height * view.scale }
}

/** All of the picture, in the middle, never larger than it is by more than three times. */
export function fitView(picture: Size, stage: Size): View {
  if (!picture.width || !picture.height || !stage.width || !stage.height) return { scale: 1, x: 0, y: 0 }
  const scale = Math.min(stage.width / picture.width, stage.height / picture.height, 3)
  return { scale, x: (stage.width - picture.width * scale) / 2, y: (stage.height - picture.height * scale) / 2 }
}

/** Zooms by `factor` so that what lies under `point` stays there. */
export function zoomAt(view: View, factor: number, point: Point, picture: Size, stage: Size): View {
  const least = Math.min(fitView(picture, stage).scale, 1)
  const scale = Math.min(MOST_PIXELS_WIDE, Math.max(least, view.scale * factor))
  const by = scale / view.scale
  return keepInside({ scale, x: point.x - (point.x - view.x) * by, y: point.y - (point.y - view.y) * by }, picture, stage)
}

/** No empty stage beside a picture that is larger than it; a smaller one stays in the middle. */
export function keepInside(view: View, picture: Size, stage: Size): View {
  const along = (offset: number, shown: number, room: number) => (shown <= room ? (room - shown) / 2 : Math.min(0, Math.max(room - shown, offset)))
  return { scale: view.scale, x: along(view.x, picture.width * view.scale, stage.width), y: along(view.y, picture.height * view.scale, stage.height) }
}

/** The view in which `rect` is to be seen; the same one where it is already. */
export function viewOn(rect: Rect, view: View, picture: Size, stage: Size): View {
  const shown = onStage(rect, view)
  const seen = shown.x >= 0 && shown.y >= 0 && shown.x + shown.width <= stage.width && shown.y + shown.height <= stage.height
  if (seen) return view
  const scale = Math.min(view.scale, (stage.width / rect.width) * 0.9, (stage.height / rect.height) * 0.9)
  const x = stage.width / 2 - (rect.x + rect.width / 2) * scale
  const y = stage.height / 2 - (rect.y + rect.height / 2) * scale
  return keepInside({ scale, x, y }, picture, stage)
}

/** The smallest of the boxes under a point: one inside another can always be reached. */
export function boxAt<T extends { rect: Rect }>(items: readonly T[], point: Point, slack = 4): T | undefined {
  return items
    .filter(({ rect }) => point.x >= rect.x - slack && point.x <= rect.x + rect.width + slack && point.y >= rect.y - slack && point.y <= rect.y + rect.height + slack)
    .sort((a, b) => a.rect.width * a.rect.height - b.rect.width * b.rect.height)[0]
}

/** Colours that people with any colour blindness tell apart (Okabe and Ito), and the ink to be read on each. They lie on
 * pictures, which have no theme, so they are the same in light and dark. */
const COLOURS = [
  { line: '#0072b2', ink: '#ffffff' },
  { line: '#e69f00', ink: '#111111' },
  { line: '#009e73', ink: '#111111' },
  { line: '#cc79a7', ink: '#111111' },
  { line: '#56b4e9', ink: '#111111' },
  { line: '#d55e00', ink: '#111111' },
  { line: '#f0e442', ink: '#111111' },
] as const

export interface Look {
  line: string
  ink: string
  dashed: boolean // the second time round the colours
}

export function lookOf(index: number): Look {
  const colour = COLOURS[index % COLOURS.length] as (typeof COLOURS)[number]
  return { ...colour, dashed: Math.floor(index / COLOURS.length) % 2 === 1 }
}

/** What export and clipboard hand out. */
export function asJson(boxes: readonly FoundBox[], picture: { name: string } & Size, number: (box: FoundBox) => number) {
  return {
    picture: { name: picture.name, width: picture.width, height: picture.height },
    boxes: boxes.map((box) => ({ number: number(box), label: box.label ?? null, box: [...box.box], pixels: pixelsOf(box.box, picture) })),
  }
}
