import { describe, expect, it } from 'vitest'
import { USUAL } from '@/lib/limits'
import { partOf, placement, sizeToSend, turnedEdit, typeToSend, UNTOUCHED } from './image'
import { tokensOf } from './visualTokens'

const wishes = { shrink: true, maxSide: 2048, limits: USUAL }
const photo = { width: 6000, height: 4000 }

describe('the size to send', () => {
  it('of a large photo is what the model uses and a little more', () => {
    const sent = sizeToSend(photo, tokensOf(photo), { shrink: true, maxSide: 0, limits: USUAL })
    expect(sent.width).toBeGreaterThanOrEqual(2044)
    expect(sent.width).toBeLessThan(2044 * 1.12)
  })

  it('of a small picture is its own', () => {
    expect(sizeToSend({ width: 640, height: 480 }, 391, wishes)).toEqual({ width: 640, height: 480 })
  })

  it("keeps to the user's own bound", () => {
    expect(sizeToSend(photo, tokensOf(photo), { shrink: true, maxSide: 1024, limits: USUAL })).toEqual({ width: 1024, height: 683 })
  })

  it('is its own when shrinking is off', () => {
    expect(sizeToSend(photo, tokensOf(photo), { shrink: false, maxSide: 1024, limits: USUAL })).toEqual(photo)
  })

  it('is never over the pixels that a server refuses, whatever is wished', () => {
    const small = sizeToSend({ width: 6000, height: 5000 }, 3000, { shrink: false, maxSide: 0, limits: { ...USUAL, pixels: 1_000_000 } })
    expect(small.width * small.height).toBeLessThanOrEqual(1_000_000)
    const sent = sizeToSend({ width: 12_000, height: 9000 }, 5000, { shrink: false, maxSide: 0, limits: USUAL })
    expect(sent.width * sent.height).toBeLessThanOrEqual(50_000_000)
    expect(sent.width * sent.height).toBeGreaterThan(49_000_000)
  })
})

it('keeps lossless pictures lossless and transparent ones transparent', () => {
  expect((['jpeg', 'heic', 'png', 'webp', 'svg'] as const).map(typeToSend)).toEqual([
    'image/jpeg', 'image/jpeg', 'image/png', 'image/webp', 'image/png',
  ])
})

describe('turning and cropping', () => {
  const size = { width: 400, height: 200 }
  const at = ([a, b, c, d, e, f]: readonly number[], x: number, y: number) => [a! * x + c! * y + e!, b! * x + d! * y + f!].map((v) => Math.round(v) + 0)

  it('measures the crop on the turned picture', () => {
    expect(partOf(size, UNTOUCHED)).toEqual({ x: 0, y: 0, width: 400, height: 200 })
    expect(partOf(size, { turns: 1, crop: [0, 0, 999, 500] })).toMatchObject({ x: 0, y: 0, width: 200 })
  })

  it.each([
    [0, [0, 0]],
    [1, [200, 0]],
    [2, [400, 200]],
    [3, [0, 400]],
  ] as const)('brings the first pixel to its place after %i quarters', (turns, corner) => {
    const part = partOf(size, { turns, crop: null })
    expect(at(placement(size, turns, part, part), 0, 0)).toEqual(corner)
  })

  it('fills the whole output with the cropped part', () => {
    const part = { x: 100, y: 50, width: 200, height: 100 }
    const matrix = placement(size, 0, part, { width: 50, height: 25 })
    expect(at(matrix, 100, 50)).toEqual([0, 0])
    expect(at(matrix, 300, 150)).toEqual([50, 25])
  })

  it('turns what was cropped with the picture', () => {
    expect(turnedEdit({ turns: 3, crop: [0, 0, 499, 999] })).toEqual({ turns: 0, crop: [0, 0, 999, 499] })
  })
})
