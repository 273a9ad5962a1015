/** Regions of a picture, on the model's own scale: per mille of its width and height, 0..999, origin top left. */

import type { Box, Language, Rect, Size } from '@/types'

const LAST = 999

export interface Point {
  x: number // share of the width, 0..1
  y: number
}

export const perMille = (share: number) => Math.min(LAST, Math.max(0, Math.round(share * LAST)))

/** The box between two corners, whichever way it was drawn. */
export function boxBetween(a: Point, b: Point): Box {
  return [perMille(Math.min(a.x, b.x)), perMille(Math.min(a.y, b.y)), perMille(Math.max(a.x, b.x)), perMille(Math.max(a.y, b.y))]
}

/** A click without a drag is no region. */
export function isRegion([x0, y0, x1, y1]: Box): boolean {
  return x1 - x0 >= 5 && y1 - y0 >= 5
}

/** Moves a box, or its lower right corner with `resize`, within the picture: the keyboard's way to draw. */
export function nudge(box: Box, dx: number, dy: number, resize: boolean): Box {
  const [x0, y0, x1, y1] = box
  const within = (value: number, from: number, to: number) => Math.min(to, Math.max(from, value))
  if (resize) return [x0, y0, within(x1 + dx, x0 + 5, LAST), within(y1 + dy, y0 + 5, LAST)]
  const x = within(dx, -x0, LAST - x1)
  const y = within(dy, -y0, LAST - y1)
  return [x0 + x, y0 + y, x1 + x, y1 + y]
}

/** A box of a part of a picture, as a box of the whole. */
export function within([x0, y0, x1, y1]: Box, part: Box): Box {
  const along = (value: number, from: number, to: number) => Math.round(from + (value / LAST) * (to - from))
  return [along(x0, part[0], part[2]), along(y0, part[1], part[3]), along(x1, part[0], part[2]), along(y1, part[1], part[3])]
}

/** Where a box lies once its picture was turned by a quarter, clockwise. */
export function turned([x0, y0, x1, y1]: Box): Box {
  return [LAST - y1, x0, LAST - y0, x1]
}

/** The pixels of a box, at least one. */
export function pixelsOf([x0, y0, x1, y1]: Box, size: Size): Rect {
  const span = (from: number, to: number, side: number) => {
    const start = Math.min(side - 1, Math.floor((from / LAST) * side))
    return [start, Math.max(1, Math.min(side, Math.ceil((to / LAST) * side)) - start)] as const
  }
  const [x, width] = span(x0, x1, size.width)
  const [y, height] = span(y0, y1, size.height)
  return { x, y, width, height }
}

/** The words that point the model at a region; `picture` (from 1) is named when there are several. */
export function regionText(box: Box, language: Language, picture?: number): string {
  const at = `[${box.join(',')}]`
  if (language === 'zh') return picture ? `请看第${picture}张图片的区域${at}` : `请看区域${at}`
  return picture ? `Look at the region ${at} of picture ${picture}` : `Look at the region ${at}`
}

/** Puts the words before the question, one region a line, each only once. */
export function withRegion(text: string, region: string): string {
  if (text.split('\n').includes(region)) return text
  return text.trim() === '' ? `${region}\n` : `${region}\n${text}`
}
