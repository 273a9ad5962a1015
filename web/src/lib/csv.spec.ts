import { describe, expect, it } from 'vitest'
import { csvBlob, toCsv } from './csv'

describe('CSV', () => {
  it('has a header, CRLF after every line and the columns in order of their first appearance', () => {
    expect(toCsv([{ a: 1 }, { b: true, a: null }])).toBe('a,b\r\n1,\r\n,true\r\n')
  })

  it('quotes cells with commas, quotes and line breaks, and doubles the quotes', () => {
    expect(toCsv([{ a: 'x,y', b: 'say "hi"', c: 'two\nlines' }])).toBe('a,b,c\r\n"x,y","say ""hi""","two\nlines"\r\n')
  })

  it('makes text that a spreadsheet would run as a formula harmless, and leaves numbers alone', () => {
    const rows = ['=1+1', '+x', '-cmd', '@SUM(A1)', '\tx', '-3.50', '+4', '-1e9|calc', 'a=b'].map((a) => ({ a }))
    expect(toCsv(rows).split('\r\n').slice(1, -1)).toEqual(["'=1+1", "'+x", "'-cmd", "'@SUM(A1)", "'\tx", '-3.50', '+4', "'-1e9|calc", 'a=b'])
  })

  it('makes a column name harmless as well, and keeps the formula guard inside quotes', () => {
    expect(toCsv([{ '=a': '=x,"y"' }])).toBe(`'=a\r\n"'=x,""y"""\r\n`)
  })

  it('writes lists of plain values with semicolons and everything else as JSON', () => {
    expect(toCsv([{ a: ['x', 'y'], b: { c: 1 }, d: [] }])).toBe('a,b,d\r\nx; y,"{""c"":1}",\r\n')
  })

  it('writes only the columns that are asked for', () => {
    expect(toCsv([{ a: 1, b: 2 }], ['b', 'z'])).toBe('b,z\r\n2,\r\n')
    expect(toCsv([], ['a'])).toBe('a\r\n')
  })

  it('begins a file with the mark by which Excel knows UTF-8', async () => {
    const bytes = new Uint8Array(await csvBlob('价').arrayBuffer())
    expect([...bytes.slice(0, 3)]).toEqual([0xef, 0xbb, 0xbf])
  })
})
