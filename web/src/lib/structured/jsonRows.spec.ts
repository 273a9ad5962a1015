import { describe, expect, it } from 'vitest'
import { cellText, replaced, toRows, toTsv, typed } from './jsonRows'

describe('a JSON value as rows', () => {
  it('repeats an invoice beside each of its lines', () => {
    const invoice = { shop: { name: 'A', city: 'B' }, total: '3', items: [{ name: 'x', price: '1' }, { name: 'y', price: '2' }] }
    expect(toRows(invoice)).toEqual([
      { 'shop.name': 'A', 'shop.city': 'B', total: '3', 'items.name': 'x', 'items.price': '1' },
      { 'shop.name': 'A', 'shop.city': 'B', total: '3', 'items.name': 'y', 'items.price': '2' },
    ])
  })

  it('keeps an object with two tables, or with none, in one row', () => {
    expect(toRows({ a: [{ x: 1 }], b: [{ y: 2 }] })).toEqual([{ a: [{ x: 1 }], b: [{ y: 2 }] }])
    expect(toRows({ a: 1, list: ['x', 'y'], none: [] })).toEqual([{ a: 1, list: ['x', 'y'], none: [] }])
  })

  it('makes rows of every kind of list', () => {
    expect(toRows([{ a: 1 }, { b: 2 }])).toEqual([{ a: 1 }, { b: 2 }])
    expect(toRows(['x', 2])).toEqual([{ value: 'x' }, { value: 2 }])
    expect(toRows('x')).toEqual([{ value: 'x' }])
    expect(toRows(undefined)).toEqual([])
  })

  it('writes cells that a spreadsheet neither splits nor runs', () => {
    expect(toTsv([{ a: 'x\ty\nz', b: '=1+1' }, { a: -5, c: ['p', null] }])).toBe("a\tb\tc\nx y z\t'=1+1\t\n-5\t\tp; ")
    expect(cellText([{ a: 1 }])).toBe('[{"a":1}]')
  })

  it('replaces one value and leaves the original alone', () => {
    const before = { rows: [{ a: 1 }, { a: 2 }] }
    expect(replaced(before, ['rows', 1, 'a'], 3)).toEqual({ rows: [{ a: 1 }, { a: 3 }] })
    expect(before.rows[1]?.a).toBe(2)
  })

  it.each([
    ['12', 'x', '12'],
    ['12', 1, 12],
    ['1,2', 1, '1,2'], // shown as a mismatch, not guessed at
    ['', 1, null],
    ['true', false, true],
    ['x', null, 'x'],
  ])('takes %j in place of %j for %j', (text, before, now) => {
    expect(typed(text, before)).toBe(now)
  })
})
