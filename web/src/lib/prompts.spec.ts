import { describe, expect, it } from 'vitest'
import { costOfFiles, guessTokens } from './promptCost'
import { knownPrompts, matching, ownOf, slashOf, titleOf } from './prompts'

describe('the prompt library', () => {
  it('has the same prompts in both languages', () => {
    expect(knownPrompts('zh').map(({ id }) => id)).toEqual(knownPrompts('en').map(({ id }) => id))
    expect(knownPrompts('zh').map(({ text }) => text)).toContain('提取图中所有金额数字,并按出现顺序列出')
  })

  it('is opened by a slash at the beginning, and by no other', () => {
    expect(['/', '/amo', 'and/or', '/two\nlines', '/etc/passwd'].map(slashOf)).toEqual(['', 'amo', null, null, null])
  })

  it('finds titles before texts', () => {
    const found = matching(knownPrompts('en'), 'BRAND').map(({ id }) => id)
    expect(found[0]).toBe('brand')
    expect(found).toContain('audit')
    expect(matching(knownPrompts('en'), 'no such words')).toEqual([])
  })

  it('has own prompts as they were kept, and reads past what is broken', () => {
    expect(ownOf([{ id: '1', title: 'T', text: 'X', own: true }])).toEqual([{ id: '1', title: 'T', text: 'X', own: true }])
    expect(ownOf([{ id: '1' }, { id: '2', title: 'T', text: 'X' }, null]).map(({ id }) => id)).toEqual(['2'])
    expect([ownOf(null), ownOf('text')]).toEqual([[], []])
  })

  it('takes a title from the first words', () => {
    expect(titleOf('Read this\nand that')).toBe('Read this')
    expect(titleOf('x'.repeat(60))).toHaveLength(40)
  })
})

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
