import { describe, expect, it } from 'vitest'
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
