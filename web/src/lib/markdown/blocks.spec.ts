import { describe, expect, it } from 'vitest'
import { BlockStream } from './blocks'
import { heal } from './heal'
import { patch } from './patch'
import { page, pageAt } from './testing'

const ANSWER = `# A receipt

It shows **three amounts** and a [link](https://example.com/x), \`code\` and ~~nothing~~ else.
Second line of it.

1. first
   - nested *item*

2. second

| item | price |
|:-----|------:|
| tea  | 3.50  |
| **cake** | $4 |

\`\`\`python
def f(x):
    return x ** 2

print(f"{f(3)}")
\`\`\`

> quoted
> text

$$
E = mc^2
$$

Price [ref][1] \\(x_1\\) and *done*.

[1]: https://example.com/ref
`

describe('an answer that grows', () => {
  it('ends as it would have been without streaming, whatever the pieces', () => {
    const whole = page(ANSWER).innerHTML
    for (const step of [2, 17]) {
      const stream = new BlockStream()
      for (let at = 0; at < ANSWER.length; at += step) pageAt(ANSWER.slice(0, at), true, [], stream)
      expect(pageAt(ANSWER, false, [], stream).innerHTML).toBe(whole)
    }
  }, 30_000)

  it('never shows a half-written mark', () => {
    const stream = new BlockStream()
    for (let at = 1; at < ANSWER.length; at += 2) {
      const root = pageAt(ANSWER.slice(0, at), true, [], stream)
      root.querySelectorAll('.code').forEach((code) => code.remove())
      expect(root.textContent, JSON.stringify(ANSWER.slice(0, at))).not.toMatch(/\*\*|~~|\]\(|\|[ -]|```|\$\$/)
    }
  }, 30_000)

  it('keeps finished blocks: the same source at the same place', () => {
    const stream = new BlockStream()
    let before: readonly { source: string; open: boolean }[] = []
    for (let at = 0; at < ANSWER.length; at += 5) {
      const blocks = stream.update(ANSWER.slice(0, at), true)
      const finished = before.slice(0, -2).filter(({ open }) => !open).map(({ source }) => source)
      expect(blocks.slice(0, finished.length).map(({ source }) => source)).toEqual(finished)
      before = blocks
    }
    expect(before.length).toBeGreaterThan(6)
  })

  it('covers its text: blocks meet each other', () => {
    const blocks = new BlockStream().update(ANSWER, false)
    expect(blocks[0]?.start).toBe(0)
    blocks.slice(1).forEach((block, i) => expect(block.start).toBe(blocks[i]?.end))
    expect(blocks.at(-1)?.end).toBe(ANSWER.length)
  })

  it('starts anew when the text is another one, and opens its end again when it goes on', () => {
    const stream = new BlockStream()
    stream.update('one\n\ntwo', true)
    expect(stream.update('three', true).map(({ source }) => source)).toEqual(['three'])
    expect(stream.update('three', false)).toHaveLength(1)
    expect(stream.update('three and four', true).map(({ source }) => source)).toEqual(['three and four'])
  })

  it('keeps the offsets of a text with Windows line ends', () => {
    const text = 'one\r\n\r\ntwo [1,20,30,40]\r\n'
    expect(new BlockStream().update(text, false).at(-1)?.start).toBe(text.indexOf('two'))
  })
})

describe('what is still open', () => {
  it.each([
    ['some **bold', 'some **bold**'],
    ['some **bold ', 'some **bold**'],
    ['some **bold*', 'some **bold**'],
    ['some **', 'some '],
    ['a *b **c', 'a *b **c***'],
    ['use `npm i', 'use `npm i`'],
    ['use `', 'use '],
    ['see [the page](https://exa', 'see the page'],
    ['see [the pa', 'see the pa'],
    ['a picture ![of a cat](htt', 'a picture of a cat'],
    ['box [697,537', 'box [697,537'],
    ['2 * 3 = 6', '2 * 3 = 6'],
    ['snake_case_name', 'snake_case_name'],
    ['text\n-', 'text\n'],
    ['text\n=', 'text\n'],
    ['- one\n- ', '- one\n'],
    ['<|begin_of_b', ''],
    ['a < b', 'a < b'],
    ['```py\nx = "**"\n``', '```py\nx = "**"\n'],
    ['```py\nx = 1', '```py\nx = 1'],
    ['12.', '12\\.'],
    ['\\[ x + y', '\\[ x + y'],
  ])('%j is read as %j', (open, healed) => {
    expect(heal(open)).toBe(healed)
  })

  it('is a table from its first row', () => {
    for (const open of ['| a | b |', '| a | b |\n', '| a | b |\n|--', '| a | b |\n| --- | --- |', '| a | b |\n|---|---|\n| 1', '| a | b |\n|---|---|\n| 1 | 2 |\n']) {
      expect(pageAt(open, true).querySelectorAll('th'), open).toHaveLength(2)
    }
  })
})

describe('patching', () => {
  const html = (markup: string) => document.createRange().createContextualFragment(markup)

  it('keeps nodes that did not change and appends to text that grew', () => {
    const root = document.createElement('div')
    patch(root, html('<p>one <strong>two</strong> thr</p>'))
    const [paragraph, strong, text] = [root.firstChild, root.querySelector('strong'), root.firstChild?.lastChild]
    patch(root, html('<p>one <strong>two</strong> three</p><p>four</p>'))
    expect(root.innerHTML).toBe('<p>one <strong>two</strong> three</p><p>four</p>')
    expect([root.firstChild, root.querySelector('strong'), root.firstChild?.lastChild]).toEqual([paragraph, strong, text])
    patch(root, html('<p>one</p>'))
    expect(root.innerHTML).toBe('<p>one</p>')
  })

  it('leaves a formula that is set and code that is coloured as they are', () => {
    const root = document.createElement('div')
    root.innerHTML = '<span data-tex="x" data-math="inline" data-set=""><b>x</b></span><div class="code" data-lang="py" data-coloured=""><pre><code><i>a</i></code></pre></div>'
    patch(root, html('<span data-tex="x" data-math="inline">x</span><div class="code" data-lang="py"><pre><code>a</code></pre></div>'))
    expect(root.querySelector('b') && root.querySelector('i')).toBeTruthy()
    patch(root, html('<span data-tex="y" data-math="inline">y</span>'))
    expect(root.textContent).toBe('y')
  })
})
