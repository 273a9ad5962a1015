import { describe, expect, it } from 'vitest'
import { changed, drawn, marksOf, moved, resized, resultOf, scoreOf, withOneMore } from './marks'

const wrong = { error_type: 'sum', location: '9-7=12', suggestion: '9-7=2', box: [541, 382, 688, 417] }
const sheet = () => marksOf({ Q6: wrong, Q4: { ...wrong, box: [62, 627, 190, 658] } }, { right: 3, all: 5 })

describe('marks', () => {
  it('stand for every question in order, with the mistakes of the answer', () => {
    expect(marksOf({ Q2: wrong }, { right: 2, all: 3 }).map(({ id, right }) => [id, right])).toEqual([['Q1', true], ['Q2', false], ['Q3', true]])
    expect(scoreOf(marksOf({}, { right: 8, all: 8 }))).toEqual({ right: 8, all: 8 })
  })

  it('keep the number of questions when they do not begin with the first', () => {
    expect(marksOf({ Q21: wrong, Q22: wrong }, { right: 1, all: 3 })).toHaveLength(3)
    expect(sheet().map(({ id }) => id)).toEqual(['Q1', 'Q2', 'Q3', 'Q4', 'Q6'])
  })

  it('change the score when a teacher disagrees', () => {
    expect(scoreOf(changed(sheet(), 'Q4', { right: true }))).toEqual({ right: 4, all: 5 })
    expect(scoreOf(withOneMore(sheet()))).toEqual({ right: 4, all: 6 })
  })

  it('are written as the server writes them', () => {
    expect(resultOf(changed(sheet(), 'Q4', { right: true }))).toEqual({ Q6: wrong, summary: { right: 4, all: 5 } })
    expect(resultOf(changed(sheet(), 'Q1', { right: false, errorType: 'unit' }))).toMatchObject({ Q1: { error_type: 'unit', box: null } })
  })

  it('survive an answer of another shape', () => {
    expect(marksOf({ Q1: 5, other: 1 }, null).map(({ right }) => right)).toEqual([true])
  })
})

describe('a box on the page', () => {
  it('is moved and made larger without leaving the page or turning inside out', () => {
    expect(moved([900, 900, 990, 990], 50, -20)).toEqual([909, 880, 999, 970])
    expect(moved([10, 10, 20, 20], -50, -50)).toEqual([0, 0, 10, 10])
    expect(resized([10, 10, 20, 20], -50, 5000)).toEqual([10, 10, 18, 999])
  })

  it('is drawn from any corner, and by a click in the usual size', () => {
    expect(drawn({ x: 300, y: 200 }, { x: 100, y: 100 })).toEqual([100, 100, 300, 200])
    expect(drawn({ x: 500, y: 500 }, { x: 501, y: 500 })).toEqual([420, 480, 580, 520])
    const [x0, y0, x1, y1] = drawn({ x: 1200, y: 1200 }, { x: 900, y: 998 })
    expect(x0 < x1 && y0 < y1 && x1 <= 999 && y1 <= 999).toBe(true)
  })
})
