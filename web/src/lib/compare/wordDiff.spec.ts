import { describe, expect, it } from 'vitest'
import { likeness, wordDiff } from './wordDiff'

const shown = (left: string, right: string) =>
  wordDiff(left, right).map(({ kind, text }) => ({ same: text, left: `[-${text}-]`, right: `{+${text}+}` })[kind]).join('') // prettier-ignore

describe('the difference of two answers', () => {
  it.each([
    ['the same text', 'the same text', 'the same text'],
    ['', 'new', '{+new+}'],
    ['a red bag', 'a blue bag', 'a [-red-]{+blue+} bag'],
    ['合计22.58元', '合计22.85元', '合计22.[-58-]{+85+}元'],
    ['a b c d', 'b c d e', '[-a -]b c d{+ e+}'],
    ['4.20, 2.75', '4.20, 6.90, 2.75', '4.20, {+6.90, +}2.75'],
  ])('of %j and %j', (left, right, expected) => {
    expect(shown(left, right)).toBe(expected)
  })

  it('always contains both texts whole', () => {
    const [left, right] = ['one two\n\nthree 😀 four', 'two one\nthree 四 five']
    const side = (kind: string) => wordDiff(left, right).filter((piece) => piece.kind === 'same' || piece.kind === kind).map((piece) => piece.text).join('')
    expect([side('left'), side('right')]).toEqual([left, right])
  })

  it('gives up on two long and different texts before it takes memory, and keeps what they share at both ends', () => {
    const long = (word: string) => `start ${Array.from({ length: 3000 }, (_, at) => word + at).join(' ')} end`
    expect(wordDiff(long('a'), long('b')).map((piece) => piece.kind)).toEqual(['same', 'left', 'right', 'same'])
  })

  it('says how alike they are', () => {
    expect(likeness(wordDiff('a b', 'a b'))).toBe(1)
    expect(likeness(wordDiff('a', 'b'))).toBe(0)
    expect(likeness(wordDiff('ab cd', 'ab ef'))).toBe(0.5)
  })
})
