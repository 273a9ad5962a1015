import { describe, expect, it } from 'vitest'
import { cropRect } from '@/lib/pictures/crops'
import { shapeOf } from './markShapes'

const mark = { id: 'Q1', right: false, errorType: 'sum', location: '', suggestion: '', box: [100, 200, 300, 250] as const }
const xs = (path: string) => [...path.matchAll(/[ML](-?[\d.]+) /g)].map((found) => Number(found[1]))

describe('the red pen', () => {
  it('draws nothing without a place', () => {
    expect(shapeOf({ ...mark, box: undefined }, 1000, 1000)).toBeUndefined()
  })

  it('puts a mistake in a box with a cross behind it and its kind below, in pixels', () => {
    const shape = shapeOf(mark, 500, 1000)!
    expect(shape.rect).toEqual({ x: 50, y: 200, width: 100, height: 50 })
    expect(Math.min(...xs(shape.sign))).toBeGreaterThan(150)
    expect([shape.text, shape.textY > 250]).toEqual(['sum', true])
  })

  it('ticks what is right, without a box or words', () => {
    expect(shapeOf({ ...mark, right: true }, 500, 1000)).toMatchObject({ rect: undefined, text: '' })
  })

  it('stays on the page at its right and lower edge', () => {
    const shape = shapeOf({ ...mark, box: [800, 960, 999, 999] }, 1000, 1000)!
    expect(Math.max(...xs(shape.sign))).toBeLessThanOrEqual(1000)
    expect(shape.textEnd).toBe(true)
    expect(shape.textY).toBeLessThan(960)
  })
})

describe('a crop', () => {
  it('has a margin inside the picture and is never enlarged', () => {
    expect(cropRect([0, 0, 100, 100], 200, 100)).toMatchObject({ x: 0, y: 0, width: 26, height: 16, scale: 1 })
  })

  it('of a large piece is made smaller', () => {
    expect(cropRect([0, 0, 1000, 1000], 4000, 3000).scale).toBeCloseTo(220 / 3000)
  })
})
