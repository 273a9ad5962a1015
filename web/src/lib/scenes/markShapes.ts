/** The red pen: where a mark's strokes go on a page of `width` by `height` pixels. One geometry for the screen (SVG), paper
 * and the exported picture (canvas). */

import { rectOf } from '@/lib/boxes/overlay'
import type { Rect } from '@/types'
import type { Mark, Score } from './marks'

interface MarkShape {
  id: string
  right: boolean
  rect?: Rect // round a mistake
  sign: string // path of the tick or cross
  text: string
  textX: number
  textY: number
  textEnd: boolean // the text ends at textX instead of beginning there
}

export const penWidth = (width: number, height: number) => Math.max(2, Math.min(width, height) / 220)
export const textSize = (width: number, height: number) => Math.max(11, Math.min(width, height) / 32)

/** Undefined for a mark that has no place on the page. */
export function shapeOf(mark: Mark, width: number, height: number): MarkShape | undefined {
  if (!mark.box) return undefined
  const rect = rectOf(mark.box, { width, height })
  const size = Math.min(Math.max(rect.height, textSize(width, height)), Math.min(width, height) / 10)
  const fits = rect.x + rect.width + size * 1.4 <= width
  const x = fits ? rect.x + rect.width + size * 0.25 : rect.x + rect.width - size * 1.1
  const y = rect.y + rect.height / 2
  const textBelow = rect.y + rect.height + textSize(width, height) * 1.15
  const textEnd = rect.x > width * 0.7
  return {
    id: mark.id,
    right: mark.right,
    rect: mark.right ? undefined : rect,
    sign: mark.right ? tick(x, y, size) : cross(x, y, size),
    text: mark.right ? '' : mark.errorType,
    textX: textEnd ? rect.x + rect.width : rect.x,
    textY: textBelow < height ? textBelow : rect.y - textSize(width, height) * 0.35,
    textEnd,
  }
}

const at = (x: number, y: number) => `${x.toFixed(1)} ${y.toFixed(1)}`
const tick = (x: number, y: number, size: number) => `M${at(x, y)} L${at(x + size * 0.35, y + size * 0.4)} L${at(x + size, y - size * 0.5)}`
const cross = (x: number, y: number, size: number) => {
  const half = size * 0.42
  return `M${at(x, y - half)} L${at(x + 2 * half, y + half)} M${at(x + 2 * half, y - half)} L${at(x, y + half)}`
}

export const PEN = '#d11a1a'

/** The page with its marks and score as a PNG, in the picture's own size. */
export async function markedPng(src: string, marks: Mark[], score: Score): Promise<Blob> {
  const picture = new Image()
  picture.src = src
  await picture.decode()
  const { naturalWidth: width, naturalHeight: height } = picture
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  const pen = canvas.getContext('2d')
  if (!pen) throw new Error('this browser has no canvas')
  pen.drawImage(picture, 0, 0)
  Object.assign(pen, { strokeStyle: PEN, fillStyle: PEN, lineWidth: penWidth(width, height), lineCap: 'round', lineJoin: 'round' })
  for (const mark of marks) drawMark(pen, mark, width, height)
  pen.font = `bold ${textSize(width, height) * 2}px sans-serif`
  pen.textAlign = 'right'
  pen.fillText(`${score.right}/${score.all}`, width - textSize(width, height), textSize(width, height) * 2.4)
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the picture is too large to be written'))), 'image/png'))
}

function drawMark(pen: CanvasRenderingContext2D, mark: Mark, width: number, height: number): void {
  const shape = shapeOf(mark, width, height)
  if (!shape) return
  if (shape.rect) pen.strokeRect(shape.rect.x, shape.rect.y, shape.rect.width, shape.rect.height)
  pen.stroke(new Path2D(shape.sign))
  pen.font = `${textSize(width, height)}px sans-serif`
  pen.textAlign = shape.textEnd ? 'right' : 'left'
  pen.fillText(shape.text, shape.textX, shape.textY)
}
