import { describe, expect, it } from 'vitest'
import { finish } from './render'
import { page } from './testing'

// KaTeX refuses to work in a document without a doctype; the test DOM has none.
Object.defineProperty(document, 'compatMode', { value: 'CSS1Compat' })

const tex = (text: string) => [...page(text).querySelectorAll<HTMLElement>('.math')].map((math) => [math.dataset.math, math.dataset.tex])

describe('formulas', () => {
  it.each([
    ['$x$ and $\\alpha_1$', [['inline', 'x'], ['inline', '\\alpha_1']]],
    ['a\\(x^2\\)b', [['inline', 'x^2']]],
    ['\\[\nx\n\\]', [['display', 'x']]],
    ['$$x = 1$$', [['display', 'x = 1']]],
    ['$$\nx = \\begin{pmatrix}a \\\\[2pt] b\\end{pmatrix}\n$$', [['display', 'x = \\begin{pmatrix}a \\\\[2pt] b\\end{pmatrix}']]],
    ['so $$x$$ it is', [['display', 'x']]],
    ['\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}', [['display', '\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}']]],
    ['面积$S=\\pi r^2$。', [['inline', 'S=\\pi r^2']]],
    ['$n+1$ steps', [['inline', 'n+1']]],
    ['| a | $x$ |\n|---|---|\n| 1 | $$y$$ |', [['inline', 'x'], ['display', 'y']]],
    ['- \\[\n  x\n  \\]', [['display', 'x']]],
  ])('%j', (text, expected) => {
    expect(tex(text)).toEqual(expected)
  })

  it.each(['It costs $5 and $10.', '$5-$10', 'US$5, A$7', '$5 apples cost 10$', 'costs 5$ or 6$', '$ x $', '`$x$`', '```\n$x$\n```', '$20 million and US$ 30', '\\$x\\$', '$5/kg or $6/lb', 'a $HOME and $PATH here', '$$', '\\(', 'from $1,299.00 to $1,499.00 (save $200)'])(
    '%j holds none',
    (text) => {
      expect(tex(text)).toEqual([])
      expect(page(text).textContent?.replace(/\s|Copy|code/g, '')).toBe(text.replace(/[`\s\\]/g, '').replace(/^code/, '') || page(text).textContent?.trim())
    },
  )

  it('are set as nodes, and one that is wrong leaves the others alone', async () => {
    const root = page('$x^2$ and $\\frac{1$ and $$\\unknown{y}$$ and $y_1$')
    await finish(root, true, [])
    expect(root.querySelectorAll('.katex').length).toBeGreaterThanOrEqual(2)
    expect(root.textContent).toContain('y')
    expect(root.innerHTML).not.toContain('undefined')
  })
})

describe('GFM and its looks', () => {
  it('shows tables in a region that scrolls, aligned without style attributes', () => {
    const root = page('| a | b |\n|:--|--:|\n| 1 | 2 |')
    expect(root.querySelector('.table-scroll > table')).toBeTruthy()
    expect(root.querySelector('.table-scroll')?.getAttribute('aria-label')).toBe('Table')
    expect(root.querySelector('td.to-right')?.textContent).toBe('2')
    expect(root.innerHTML).not.toContain('style=')
  })

  it('shows task lists as marks with a name', () => {
    const marks = [...page('- [x] one\n- [ ] two\n- [y] three').querySelectorAll('.task')]
    expect(marks.map((mark) => mark.getAttribute('aria-label'))).toEqual(['done', 'open'])
  })

  it('keeps the line breaks of an answer', () => {
    expect(page('70.9\n586.07').querySelectorAll('br')).toHaveLength(1)
  })

  it('knows Chinese bold that ends in punctuation', () => {
    expect(page('**注意：**请看').querySelector('strong')?.textContent).toBe('注意：')
    expect(page('这是**“重点”**内容').querySelector('strong')?.textContent).toBe('“重点”')
    expect(page('a * b * c').querySelector('em')).toBeNull()
  })

  it('names the language of code and lets it be copied', () => {
    const root = page('```python title="x"\nprint(1)\n```')
    expect(root.querySelector('.code-language')?.textContent).toBe('python')
    expect(root.querySelector('button[data-copy]')?.textContent).toBe('Copy')
    expect(root.querySelector('code')?.textContent).toBe('print(1)\n')
  })

  it('colours code once it is complete, and changes none of it', async () => {
    const root = page('```py\ndef f(x):\n    return "<b>" # [1]\n```')
    await finish(root, true, [])
    expect(root.querySelectorAll('[class^="hljs-"]').length).toBeGreaterThan(2)
    expect(root.querySelector('code')?.textContent).toBe('def f(x):\n    return "<b>" # [1]\n')
  })

  it('gives each paragraph the direction of its words, and headings a level below the page', () => {
    const root = page('# Title\n\nשלום')
    expect(root.querySelector('h3')?.textContent).toBe('Title')
    expect(root.querySelector('p')?.getAttribute('dir')).toBe('auto')
  })

  it('links addresses, not file names', () => {
    const hrefs = [...page('https://example.com/a?b=1, README.md and train.py').querySelectorAll('a')].map((link) => link.getAttribute('href'))
    expect(hrefs).toEqual(['https://example.com/a?b=1'])
  })

  it('shows a picture of the answer as a link and never as a picture', () => {
    const root = page('![a cat](https://example.com/cat.png)')
    expect(root.querySelector('img')).toBeNull()
    expect(root.querySelector('a')?.textContent).toBe('a cat')
  })
})

describe('boxes', () => {
  const mark = (raw: string, number = 1) => ({ id: `b${number - 1}`, raw, number, name: `box ${number}` })
  const buttons = (root: HTMLElement) => [...root.querySelectorAll<HTMLElement>('[data-box]')].map((button) => [button.dataset.box, button.textContent])

  it.each([
    'The cup [1,20,30,40] is red',
    '- **cup**: [1,20,30,40]',
    '| cup | [1,20,30,40] |\n|---|---|\n| a | b |',
    '`[1,20,30,40]`',
    '```json\n{"bbox_2d": [1,20,30,40]}\n```',
    '<|begin_of_box|>[1,20,30,40]<|end_of_box|>',
  ])('of %j become buttons', (text) => {
    const root = page(text, [mark('[1,20,30,40]')])
    expect(buttons(root)).toEqual([['b0', '[1,20,30,40]']])
    expect(root.textContent).not.toContain('_of_box')
  })

  it('that are written twice are two buttons in order', () => {
    expect(buttons(page('[1,20,30,40] [1,20,30,40]', [mark('[1,20,30,40]', 1), mark('[1,20,30,40]', 2)])).map(([id]) => id)).toEqual(['b0', 'b1'])
  })

  it('over several lines stay one', () => {
    expect(buttons(page('```\n[\n  1,\n  20,\n  30,\n  40\n]\n```', [mark('[\n  1,\n  20,\n  30,\n  40\n]')]))).toHaveLength(1)
  })

  it('stay buttons when the code around them is coloured', async () => {
    const marks = [mark('[1,20,30,40]'), mark('[5,60,70,80]', 2)]
    const root = page('```json\n[{"bbox_2d": [1,20,30,40]},\n {"bbox_2d": [5,60,70,80]}]\n```', marks)
    await finish(root, true, marks)
    expect(root.querySelector('[data-coloured]')).toBeTruthy()
    expect(buttons(root)).toEqual([['b0', '[1,20,30,40]'], ['b1', '[5,60,70,80]']])
    expect(root.querySelector('code')?.textContent).toBe('[{"bbox_2d": [1,20,30,40]},\n {"bbox_2d": [5,60,70,80]}]\n')
  })
})
