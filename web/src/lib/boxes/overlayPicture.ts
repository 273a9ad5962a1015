/** The picture with its boxes as a PNG, at the picture's own size. */
import type { Box, Rect, Size } from '@/types'
import { placeLabels } from './boxLabels'
import { lookOf, rectOf } from './overlay'

export interface Drawn {
  box: Box
  number: number
  label?: string
}

export async function overlayPng(image: HTMLImageElement, boxes: readonly Drawn[]): Promise<Blob> {
  const canvas = document.createElement('canvas')
  const size = { width: image.naturalWidth, height: image.naturalHeight }
  Object.assign(canvas, size)
  const context = canvas.getContext('2d')
  if (!context) throw new Error('no canvas')
  context.drawImage(image, 0, 0)
  draw(context, boxes, size)
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('too large'))), 'image/png'))
}

/** Lines and letters grow with the picture, or they could not be seen on a photo of 4000 pixels. */
function draw(context: CanvasRenderingContext2D, boxes: readonly Drawn[], size: Size): void {
  const longest = Math.max(size.width, size.height)
  const line = Math.max(1.5, longest / 450)
  const fontSize = Math.max(11, Math.round(longest / 70))
  const rects = boxes.map(({ box }) => rectOf(box, size))
  boxes.forEach(({ number }, i) => {
    const rect = rects[i] as Rect
    const [x, y, width, height] = [rect.x - line, rect.y - line, rect.width + 2 * line, rect.height + 2 * line] // around what was found, not over it
    const look = lookOf(number - 1)
    context.setLineDash([])
    context.strokeStyle = 'rgb(255 255 255 / 85%)'
    context.lineWidth = line * 2
    context.strokeRect(x, y, width, height)
    context.setLineDash(look.dashed ? [line * 4, line * 2] : [])
    context.strokeStyle = look.line
    context.lineWidth = line
    context.strokeRect(x, y, width, height)
  })
  context.font = `600 ${fontSize}px sans-serif`
  context.textBaseline = 'middle'
  placeLabels(boxes.map(({ number, label }, i) => ({ rect: rects[i] as Rect, number: String(number), words: label ?? '' })), size, fontSize).forEach((placed, i) => {
    if (!placed) return
    const look = lookOf((boxes[i] as Drawn).number - 1)
    context.fillStyle = look.line
    context.fillRect(placed.x, placed.y, placed.width, placed.height)
    context.fillStyle = look.ink
    context.fillText(placed.text, placed.x + fontSize * 0.45, placed.y + placed.height / 2, placed.width - fontSize * 0.6)
  })
}
