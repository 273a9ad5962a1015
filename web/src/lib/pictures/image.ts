/** Makes a picture ready to be sent: turned and cropped as asked, and no larger than the model's eye. */

import type { Limits } from '@/lib/limits'
import type { Box, Rect, Size } from '@/types'
import { pixelsOf, turned } from './region'
import { MIME, type FileKind } from './sniff'
import { sizeWorthSending, withinSide } from './visualTokens'

/** What the user did to a picture. The crop is a box of the turned picture. */
export interface Edit {
  turns: 0 | 1 | 2 | 3 // quarters, clockwise
  crop: Box | null
}

export const UNTOUCHED: Edit = { turns: 0, crop: null }

export interface Wishes {
  shrink: boolean
  maxSide: number // 0: no bound of the user's own
  limits: Pick<Limits, 'pixels' | 'pictureBytes'> // over these the server would refuse a picture
  tokensOf: (size: Size) => Promise<number>
}

export interface Prepared {
  blob: Blob
  width: number
  height: number
  tokens: number
  changed: boolean
}

/** The file is a picture by its first bytes, but this browser cannot draw it. */
export class Undrawable extends Error {}

const VECTOR_SIDE = 1536
const QUALITY = 0.92

function turnedSize(size: Size, turns: Edit['turns']): Size {
  return turns % 2 === 0 ? size : { width: size.height, height: size.width }
}

export function sameEdit(a: Edit, b: Edit): boolean {
  return a.turns === b.turns && a.crop?.join() === b.crop?.join()
}

/** One more quarter; what was cropped turns with the picture. */
export function turnedEdit({ turns, crop }: Edit): Edit {
  return { turns: ((turns + 1) % 4) as Edit['turns'], crop: crop && turned(crop) }
}

/** The part of the turned picture that is sent, in pixels. */
export function partOf(size: Size, edit: Edit): Rect {
  const whole = turnedSize(size, edit.turns)
  return edit.crop ? pixelsOf(edit.crop, whole) : { x: 0, y: 0, ...whole }
}

/** The size to send a picture in; the same size when it is best left alone. */
export function sizeToSend(size: Size, tokens: number, wishes: Omit<Wishes, 'tokensOf'>): Size {
  let best = wishes.shrink ? withinSide(sizeWorthSending(size, tokens) ?? size, wishes.maxSide) : size
  const over = (best.width * best.height) / wishes.limits.pixels
  if (over > 1) best = withinSide(best, Math.floor(Math.max(best.width, best.height) / Math.sqrt(over)))
  return best
}

/** Lossless stays lossless, except where the file would then be too large; JPEG has no transparency to lose. */
export function typeToSend(kind: FileKind): string {
  if (kind === 'jpeg' || kind === 'heic') return 'image/jpeg'
  return kind === 'webp' || kind === 'avif' ? 'image/webp' : 'image/png'
}

/** The canvas transform that turns a picture, takes a part of it and makes that `out` large: [a, b, c, d, e, f]. */
export function placement(size: Size, turns: Edit['turns'], part: Rect, out: Size): [number, number, number, number, number, number] {
  const { width: w, height: h } = size
  const turn = ([[1, 0, 0, 1, 0, 0], [0, 1, -1, 0, h, 0], [-1, 0, 0, -1, w, h], [0, -1, 1, 0, 0, w]] as const)[turns]
  const [a, b, c, d, e, f] = turn
  const [x, y] = [out.width / part.width, out.height / part.height] // both: rounded sides must leave no empty line
  return [a * x, b * y, c * x, d * y, (e - part.x) * x, (f - part.y) * y]
}

export interface Drawn {
  source: CanvasImageSource
  size: Size
  close(): void
}

/** Pixels with the EXIF orientation applied, as the server applies it. */
export async function decode(blob: Blob, kind: FileKind): Promise<Drawn> {
  if (kind === 'svg') return decodeVector(blob)
  try {
    const typed = MIME[kind] && blob.type !== MIME[kind] ? blob.slice(0, blob.size, MIME[kind]) : blob
    const bitmap = await createImageBitmap(typed, { imageOrientation: 'from-image' })
    return { source: bitmap, size: { width: bitmap.width, height: bitmap.height }, close: () => bitmap.close() }
  } catch (error) {
    throw new Undrawable(String(error))
  }
}

async function decodeVector(blob: Blob): Promise<Drawn> {
  const url = URL.createObjectURL(blob.slice(0, blob.size, MIME.svg))
  try {
    const image = new Image()
    image.src = url
    await image.decode()
    const [width, height] = [image.naturalWidth || VECTOR_SIDE, image.naturalHeight || VECTOR_SIDE]
    // A drawing has no pixels of its own: small ones are drawn large enough to be read.
    const scale = Math.max(1, VECTOR_SIDE / Math.max(width, height))
    const size = { width: Math.round(width * scale), height: Math.round(height * scale) }
    image.width = size.width
    image.height = size.height
    return { source: image, size, close: () => undefined }
  } catch (error) {
    throw new Undrawable(String(error))
  } finally {
    URL.revokeObjectURL(url)
  }
}

function canvas(size: Size): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const made = document.createElement('canvas')
  made.width = Math.max(1, Math.round(size.width))
  made.height = Math.max(1, Math.round(size.height))
  const context = made.getContext('2d')
  if (!context) throw new Undrawable('no canvas')
  context.imageSmoothingEnabled = true
  context.imageSmoothingQuality = 'high'
  return [made, context]
}

/** Halves a picture as often as the scale allows: one large step would skip pixels in some browsers. */
function halved(drawn: Drawn, scale: number): { source: CanvasImageSource; size: Size; scale: number } {
  let { source, size }: { source: CanvasImageSource; size: Size } = drawn
  while (scale < 0.5) {
    const half = { width: Math.max(1, Math.ceil(size.width / 2)), height: Math.max(1, Math.ceil(size.height / 2)) }
    const [next, context] = canvas(half)
    context.drawImage(source, 0, 0, half.width, half.height)
    ;[source, size, scale] = [next, half, scale * 2]
  }
  return { source, size, scale }
}

function toBlob(made: HTMLCanvasElement, type: string): Promise<Blob> {
  return new Promise((resolve, reject) =>
    made.toBlob((blob) => (blob ? resolve(blob) : reject(new Undrawable(`no ${type}`))), type, QUALITY),
  )
}

async function draw(drawn: Drawn, edit: Edit, size: Size, type: string, mostBytes: number): Promise<Blob> {
  const part = partOf(drawn.size, edit)
  const small = halved(drawn, Math.max(size.width / part.width, size.height / part.height))
  const [made, context] = canvas(size)
  context.setTransform(...placement(small.size, edit.turns, partOf(small.size, edit), size))
  context.drawImage(small.source, 0, 0, small.size.width, small.size.height)
  const blob = await toBlob(made, type)
  return blob.size > mostBytes ? toBlob(made, type === 'image/jpeg' ? type : 'image/webp') : blob
}

/** Shows the part that would be sent, for the eye: at most `most` wide and high. */
export function paint(drawn: Drawn, edit: Edit, onto: HTMLCanvasElement, most: number): void {
  const part = partOf(drawn.size, edit)
  const size = withinSide(part, most)
  onto.width = size.width
  onto.height = size.height
  const context = onto.getContext('2d')
  if (!context) return
  context.imageSmoothingQuality = 'high'
  context.setTransform(...placement(drawn.size, edit.turns, part, size))
  context.drawImage(drawn.source, 0, 0, drawn.size.width, drawn.size.height)
}

/** Throws Undrawable when the browser has no decoder for it. */
export async function prepare(original: Blob, kind: FileKind, edit: Edit, wishes: Wishes): Promise<Prepared> {
  const { limits } = wishes
  const drawn = await decode(original, kind)
  try {
    const { width, height } = partOf(drawn.size, edit)
    const before = await wishes.tokensOf({ width, height })
    const size = sizeToSend({ width, height }, before, wishes)
    const asked = edit.turns !== 0 || edit.crop !== null || kind === 'svg' || kind === 'tiff'
    const smaller = size.width !== width
    if (!asked && !smaller && original.size <= limits.pictureBytes) return { blob: original, width, height, tokens: before, changed: false }
    const blob = await draw(drawn, edit, size, typeToSend(kind), limits.pictureBytes)
    // Few colours compress better at full size than smoothed ones at half: then nothing is gained.
    const must = asked || width * height > limits.pixels || original.size > limits.pictureBytes
    if (!must && blob.size >= original.size) return { blob: original, width, height, tokens: before, changed: false }
    return { blob, ...size, tokens: smaller ? await wishes.tokensOf(size) : before, changed: true }
  } finally {
    drawn.close()
  }
}
