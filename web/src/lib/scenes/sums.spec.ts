import { describe, expect, it } from 'vitest'
import { checkSum, sameAmount, sumOf } from './sums'

describe('sums', () => {
  it('are exact in decimals, with as many places as the finest amount', () => {
    expect(sumOf(['0.1', '0.2'])).toBe('0.3')
    expect(sumOf(['1', '2.50', '-0.005'])).toBe('3.495')
    expect(sumOf(['-1.20', '0.20'])).toBe('-1.00')
    expect(sumOf(['99999999999999999999.01', '0.01'])).toBe('99999999999999999999.02')
    expect(sumOf([])).toBe('0')
  })

  it('take 5 and 5.00 for the same, and no text for a number', () => {
    expect(sameAmount('5', '5.00')).toBe(true)
    expect(sameAmount('5', 'five')).toBe(false)
  })
})

describe('the sum check', () => {
  it('counts what stands before the total, not what was paid after it', () => {
    const check = checkSum(['4.20', '2.75', '6.90', '3.48', '5.25', '22.58', '30.00', '7.42'], '22.58')
    expect(check).toMatchObject({ state: 'agrees', counted: [0, 1, 2, 3, 4], sum: '22.58' })
  })

  it('begins at a sub-total when tax follows it', () => {
    expect(checkSum(['4.00', '6.00', '10.00', '1.90', '11.90'], '11.90')).toMatchObject({ state: 'agrees', counted: [2, 3] })
  })

  it('does not take a total that is printed twice for a proof', () => {
    expect(checkSum(['4.00', '5.00', '10.00', '10.00'], '10.00').state).toBe('differs')
  })

  it('adds all when the total is not among them, and one item may be the total', () => {
    expect(checkSum(['1.00', '2.00'], '3.00')).toMatchObject({ state: 'agrees', counted: [0, 1] })
    expect(checkSum(['5.00', '5.00'], '5.00')).toMatchObject({ state: 'agrees', counted: [0] })
  })

  it('says by how much it differs', () => {
    expect(checkSum(['1.00', '2.00', '4.00'], '4.00')).toMatchObject({ state: 'differs', sum: '3.00', gap: '-1.00' })
  })

  it('adds what a person chose instead', () => {
    expect(checkSum(['1.00', '2.00', '4.00'], '4.00', [0, 1, 2])).toMatchObject({ state: 'differs', sum: '7.00', gap: '3.00' })
  })

  it('knows nothing without a total or without amounts', () => {
    expect(checkSum(['1.00', '2.00'], null)).toMatchObject({ state: 'unknown', sum: '3.00' })
    expect(checkSum([], '2.00').state).toBe('unknown')
    expect(checkSum(['1'], '').state).toBe('unknown')
  })
})
