import { describe, expect, it } from 'vitest'
import { costOfFiles, guessTokens } from './promptCost'

describe('the cost of a question', () => {
  const picture = { id: 'a', kind: 'image', name: 'a', visualTokens: 100 } as const
  const pdf = { id: 'p', kind: 'pdf', name: 'p', visualTokens: 1000, pages: '1-2' } as const

  it('adds the marks around each picture', () => {
    expect(costOfFiles([picture, { ...picture, id: 'b' }], () => null)).toEqual({ tokens: 204, unknown: 0 })
  })

  it('counts the chosen pages of a document, or all that are known', () => {
    expect(costOfFiles([pdf], () => null).tokens).toBe(2016)
    expect(costOfFiles([{ ...pdf, pages: undefined }], () => 5).tokens).toBe(5040)
    expect(costOfFiles([{ ...pdf, pages: undefined }], () => null)).toEqual({ tokens: 0, unknown: 1 })
  })

  it('does not pretend to know the cost of links and clips', () => {
    expect(costOfFiles([{ id: 'u', kind: 'url', name: 'u', url: 'https://a' }], () => null)).toEqual({ tokens: 0, unknown: 1 })
  })

  it('guesses Chinese text higher than Latin text of the same length', () => {
    expect(guessTokens('识别图中所有文字内容')).toBe(7)
    expect(guessTokens('abcdefghij')).toBe(3)
  })
})
