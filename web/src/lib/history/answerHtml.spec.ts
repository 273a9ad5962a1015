import { describe, expect, it } from 'vitest'
import { escapeHtml } from '@/lib/escapeHtml'
import { VECTORS } from '@/lib/markdown/xss'
import { toHtml, type Kept } from './exporting'
import { answerHtml } from './answerHtml'

const words = { copy: 'Copy', code: 'code', table: 'Table', done: 'done', open: 'open' }
const html = (text: string) => answerHtml(text, words)

describe('an answer in an exported web page', () => {
  it('has its headings, lists, tables and code', async () => {
    const made = await html('## Sum\n\n- one\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nx = 1\n```')
    for (const piece of ['<h4', '<li', 'class="to-right">2</td>', '<code>x = 1']) expect(made).toContain(piece)
  })

  it('has formulas as MathML, and those that cannot be set as they were written', async () => {
    const made = await html('$\\frac{a}{b}$ and $\\frac{$')
    expect(made).toMatch(/<mfrac>.*<\/mfrac>/)
    expect(made).toContain('\\frac{')
    expect(made).not.toContain('katex-html')
  })

  it('shows what is done in a list without a sheet of icons', async () => {
    const made = await html('- [x] bread\n- [ ] milk')
    expect(made).toContain('☑ </span>bread')
    expect(made).toContain('☐ </span>milk')
  })

  it('has no button, for nothing there could answer it, and no box mark', async () => {
    const made = await html('<|begin_of_box|>[10,20,30,40]<|end_of_box|>\n\n```\nx\n```')
    expect(made).not.toContain('<button')
    expect(made).toContain('[10,20,30,40]')
    expect(made).not.toContain('_of_box')
  })

  it('runs nothing and asks nobody, whatever the answer says', async () => {
    for (const vector of VECTORS) {
      const root = document.createElement('template')
      root.innerHTML = await html(vector)
      expect(root.content.querySelectorAll('script, img, iframe, object, embed, style, link, form, input, svg, video, audio, base, meta'), vector).toHaveLength(0)
      for (const element of root.content.querySelectorAll('*')) {
        for (const { name, value } of element.attributes) {
          expect(name, vector).not.toMatch(/^on|^src/i)
          if (name === 'href') expect(value, vector).toMatch(/^(?:https?:\/\/|mailto:)/i)
        }
      }
    }
  })
})

describe('a conversation as a web page', () => {
  it('runs nothing of what it holds', async () => {
    const evil = `</style><script>alert(1)</script>"'><img src=x onerror=alert(1)>`
    const message = { conversationId: 'c', createdAt: 1, text: evil, attachments: [] }
    const svg = new Blob(['<svg onload=alert(1)>'], { type: 'image/svg+xml"><script>' })
    const kept: Kept = {
      conversation: { id: 'c', title: evil, titleIsOwn: true, systemPrompt: evil, leafId: 'a', createdAt: 1, updatedAt: 1 },
      messages: [
        { ...message, id: 'q', parentId: null, role: 'user', attachments: [{ id: 'p', kind: 'image', name: evil, blob: svg }] },
        { ...message, id: 'a', parentId: 'q', role: 'assistant', thinking: evil, failure: { code: 'x', message: evil } },
      ],
    }
    const made = await (await toHtml(kept, { user: 'Q', assistant: 'A', thinking: 'T', system: 'S', made: 'M', untitled: 'N', language: 'en', markdown: words })).text()
    expect(made).not.toMatch(/<script|<img src=x|onerror=alert\(1\)>(?!&)/i)
    expect(made.match(/<img/g)).toHaveLength(1)
    expect(made).toContain(escapeHtml(evil))
    expect(made).toContain("default-src 'none'")
  })
})
