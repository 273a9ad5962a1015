/**
 * How many tokens a picture becomes: the checkpoint's own rule, so that a cost can be told before anything is sent.
 *
 * Both sides are rounded to multiples of 28 px, one token each; the area times the number of frames (2 for a still picture)
 * is kept between two bounds of the checkpoint. The server's cap of the longest side is folded into the same rule.
 */

import type { Size } from '@/types'

const TOKEN_SIDE = 28
export const LONGEST_RATIO = 200

export interface Geometry {
  minPixels: number // pixels times frames
  maxPixels: number
  maxSide: number // the server's cap of the longest side; 0: none
}

/** GLM-4.6V's bounds under the server's default cap; what is assumed while no server can be asked. */
export const GLM_GEOMETRY: Geometry = { minPixels: 12_544, maxPixels: 9_633_792, maxSide: 2048 }

const STILL_FRAMES = 2

/** The reference is written in Python, whose `round` takes the even neighbour of a half. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

/** The size a picture is resized to for the encoder. Throws RangeError over 200:1, which has no defined size. */
export function smartResize({ width, height }: Size, bounds: Geometry, frames = STILL_FRAMES): Size {
  let h = height
  let w = width
  if (h < TOKEN_SIDE || w < TOKEN_SIDE) {
    const scale = Math.max(TOKEN_SIDE / h, TOKEN_SIDE / w)
    h = Math.trunc(h * scale)
    w = Math.trunc(w * scale)
  }
  if (Math.max(h, w) / Math.min(h, w) > LONGEST_RATIO) throw new RangeError(`${width}x${height} is over ${LONGEST_RATIO}:1`)
  const rounded = { height: roundHalfEven(h / TOKEN_SIDE) * TOKEN_SIDE, width: roundHalfEven(w / TOKEN_SIDE) * TOKEN_SIDE }
  const area = roundHalfEven(frames / STILL_FRAMES) * STILL_FRAMES * rounded.height * rounded.width
  if (area > bounds.maxPixels) {
    const shrink = Math.sqrt((frames * h * w) / bounds.maxPixels)
    const down = (side: number) => Math.max(TOKEN_SIDE, Math.floor(side / shrink / TOKEN_SIDE) * TOKEN_SIDE)
    return { width: down(w), height: down(h) }
  }
  if (area < bounds.minPixels) {
    const grow = Math.sqrt(bounds.minPixels / (frames * h * w))
    const up = (side: number) => Math.ceil((side * grow) / TOKEN_SIDE) * TOKEN_SIDE
    return { width: up(w), height: up(h) }
  }
  return rounded
}

/** `smartResize` under the server's cap of the longest side. */
export function targetSize(size: Size, geometry: Geometry = GLM_GEOMETRY): Size {
  const target = smartResize(size, geometry)
  const longest = (s: Size) => Math.max(s.width, s.height)
  if (geometry.maxSide <= 0 || longest(target) <= geometry.maxSide) return target
  const cap = Math.max(TOKEN_SIDE, Math.floor(geometry.maxSide / TOKEN_SIDE) * TOKEN_SIDE)
  const across = longest(size)
  const capped = smartResize(
    { width: Math.ceil((size.width * cap) / across), height: Math.ceil((size.height * cap) / across) },
    geometry,
  )
  // A very long, thin picture cannot satisfy both the cap and the smallest area; the model's own minimum wins.
  return longest(capped) < longest(target) ? capped : target
}

export function tokensOf(size: Size, geometry: Geometry = GLM_GEOMETRY): number {
  const target = targetSize(size, geometry)
  return (target.width / TOKEN_SIDE) * (target.height / TOKEN_SIDE)
}

/** A finished picture is resized once more by the server; this much to spare keeps that step on the same size as before. */
const SPARE = 1.06

/**
 * The smallest size worth sending when the server makes `tokens` tokens of this picture; null when it has no pixel to spare.
 * It needs no knowledge of the checkpoint's bounds: the token count, which the server tells, already says what it uses.
 */
export function sizeWorthSending(size: Size, tokens: number): Size | null {
  const ratio = Math.sqrt(size.width / size.height)
  // The largest scale whose whole tokens are still not more than `tokens`: where the next row or column would begin.
  const product = (scale: number) => Math.max(1, Math.floor(scale * ratio)) * Math.max(1, Math.floor(scale / ratio))
  let scale = Math.sqrt(tokens)
  while (product(scale * 1.002) <= tokens) scale *= 1.002
  const factor = (scale * TOKEN_SIDE * ratio * SPARE) / size.width
  // Less than a tenth of the side is not worth a second compression.
  if (factor > 0.9) return null
  return { width: Math.max(1, Math.ceil(size.width * factor)), height: Math.max(1, Math.ceil(size.height * factor)) }
}

/** The size whose longest side is at most `maxSide`; the same size when it already is. */
export function withinSide(size: Size, maxSide: number): Size {
  const longest = Math.max(size.width, size.height)
  if (maxSide <= 0 || longest <= maxSide) return size
  return {
    width: Math.max(1, Math.round((size.width * maxSide) / longest)),
    height: Math.max(1, Math.round((size.height * maxSide) / longest)),
  }
}
