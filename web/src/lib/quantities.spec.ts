import { expect, it } from 'vitest'
import { bytes, duration, quantity } from './quantities'

it('durations are told in the unit that fits', () => {
  expect([0, 0.00052, 0.0421, 0.25, 0.9996, 3.14159, 75, 7260, 200_000].map(duration)).toEqual([
    '0 ms', '0.52 ms', '42.1 ms', '250 ms', '1.00 s', '3.14 s', '1 min 15 s', '2 h 1 min', '2 d 7 h',
  ])
})

it('bytes are told in powers of 1024', () => {
  expect([0, 1023, 1536, 335544320].map(bytes)).toEqual(['0 B', '1,023 B', '1.50 KiB', '320 MiB'])
})

it('a missing number is a dash', () => {
  expect([null, undefined, NaN].map((value) => quantity(value, 'percent'))).toEqual(['–', '–', '–'])
})

it('shares, rates and counts keep the digits that say something', () => {
  expect(quantity(0.4567, 'percent')).toBe('45.7 %')
  expect(quantity(1234.5, 'perSecond')).toBe('1,235/s')
  expect(quantity(12345, 'count')).toBe('12,345')
})
