import { describe, expect, it } from 'vitest'
import { GLM_GEOMETRY, roundHalfEven, sizeWorthSending, smartResize, targetSize, tokensOf, withinSide, type Geometry } from './visualTokens'

const NO_CAP: Geometry = { ...GLM_GEOMETRY, maxSide: 0 }
/** The bundled model's, whose preprocessor has smaller bounds. */
const NANO: Geometry = { minPixels: 114_688, maxPixels: 1_229_312, maxSide: 2048 }

describe('smart resize', () => {
  it.each([
    // height, width, resized height and width, tokens: of the reference's rule
    [336, 336, 336, 336, 144],
    [224, 224, 224, 224, 64],
    [100, 100, 112, 112, 16],
    [480, 640, 476, 644, 391],
    [720, 1280, 728, 1288, 1196],
    [1080, 1920, 1092, 1932, 2691],
    [2160, 3840, 1624, 2912, 6032],
    [4000, 6000, 1792, 2688, 6144],
    [3508, 2480, 2604, 1820, 6045],
    [15, 53, 56, 168, 12],
    [28, 28, 84, 84, 9],
  ])('takes %i x %i to %i x %i, which are %i tokens', (height, width, toHeight, toWidth, tokens) => {
    expect(smartResize({ width, height }, NO_CAP)).toEqual({ width: toWidth, height: toHeight })
    expect(tokensOf({ width, height }, NO_CAP)).toBe(tokens)
  })

  it.each([
    // width, height, tokens: as the server counts for the bundled model
    [100, 100, 81],
    [640, 480, 391],
    [1, 1, 81],
    [400, 536, 266],
    [7000, 7000, 784],
    [6000, 1000, 748],
    [9000, 50, 170],
  ])('counts a picture of %i x %i as the server does: %i tokens', (width, height, tokens) => {
    expect(tokensOf({ width, height }, NANO)).toBe(tokens)
  })

  it('folds the cap of the longest side into the same rule', () => {
    expect(targetSize({ width: 7000, height: 7000 })).toEqual({ width: 2044, height: 2044 })
  })

  it('has no size for more than 200:1', () => {
    expect(() => smartResize({ width: 20_100, height: 100 }, NO_CAP)).toThrow(RangeError)
  })

  it('rounds halves to the even neighbour, as the reference does', () => {
    expect([0.5, 1.5, 2.5, 2.51, 2.49].map(roundHalfEven)).toEqual([0, 2, 2, 3, 2])
  })
})

/** The same sizes in every run. */
function* sizes(count: number) {
  let state = 7
  const next = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
  for (let i = 0; i < count; i += 1) {
    const ratio = Math.exp((next() - 0.5) * 3)
    const side = 300 + next() * 5000
    yield { width: Math.round(side * ratio), height: Math.round(side / ratio) }
  }
}

describe('the size worth sending', () => {
  it.each([
    ['the real model', GLM_GEOMETRY],
    ['the real model without a cap', NO_CAP],
    ['the bundled model', NANO],
    ['a strict server', { ...GLM_GEOMETRY, maxSide: 1024 }],
  ] as const)('never has fewer pixels on a side than %s uses', (_name, geometry) => {
    for (const size of sizes(3000)) {
      const target = targetSize(size, geometry)
      const sent = sizeWorthSending(size, tokensOf(size, geometry))
      if (!sent) continue
      expect(sent.width, JSON.stringify({ size, sent, target })).toBeGreaterThanOrEqual(target.width)
      expect(sent.height, JSON.stringify({ size, sent, target })).toBeGreaterThanOrEqual(target.height)
    }
  })

  it('costs as much as the picture itself, but for a row or column where a whole pixel tips the rounding', () => {
    let [checked, same] = [0, 0]
    for (const size of sizes(3000)) {
      const sent = sizeWorthSending(size, tokensOf(size))
      if (!sent) continue
      const [before, after] = [targetSize(size), targetSize(sent)]
      expect(Math.abs(after.width - before.width), JSON.stringify({ size, sent })).toBeLessThanOrEqual(28)
      expect(Math.abs(after.height - before.height), JSON.stringify({ size, sent })).toBeLessThanOrEqual(28)
      checked += 1
      if (tokensOf(size) === tokensOf(sent)) same += 1
    }
    expect(checked).toBeGreaterThan(500)
    expect(same / checked).toBeGreaterThan(0.9)
  })

  it('is the picture itself when the model uses all of it', () => {
    expect(sizeWorthSending({ width: 640, height: 480 }, 391)).toBeNull()
    expect(sizeWorthSending({ width: 20, height: 20 }, 16)).toBeNull()
  })

  it('keeps the shape', () => {
    const sent = sizeWorthSending({ width: 6000, height: 4000 }, 6144)!
    expect(sent.width / sent.height).toBeCloseTo(1.5, 2)
  })
})

it('bounds the longest side and leaves smaller pictures alone', () => {
  expect(withinSide({ width: 4000, height: 1000 }, 1000)).toEqual({ width: 1000, height: 250 })
  expect(withinSide({ width: 400, height: 100 }, 1000)).toEqual({ width: 400, height: 100 })
  expect(withinSide({ width: 400, height: 100 }, 0)).toEqual({ width: 400, height: 100 })
})
