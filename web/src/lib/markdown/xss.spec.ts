import { describe, expect, it } from 'vitest'
import { findBoxes } from '@/lib/boxes/boxes'
import { BlockStream } from './blocks'
import { finish } from './render'
import { page, pageAt } from './testing'
import { dangersIn, VECTORS } from './xss'

Object.defineProperty(document, 'compatMode', { value: 'CSS1Compat' })

describe('an answer that attacks', () => {
  it('is tried in more than a hundred ways', () => {
    expect(new Set(VECTORS).size).toBeGreaterThan(100)
  })

  it.each(VECTORS)('%j stays text', async (vector) => {
    for (const text of [vector, `words ${vector} words`, `- ${vector}`, `> ${vector}`]) {
      const root = page(text)
      await finish(root, true, [])
      expect(dangersIn(root)).toEqual([])
    }
  })

  it('comes alive at no point of its way either', () => {
    for (const vector of VECTORS) {
      const stream = new BlockStream()
      for (let at = 1; at <= vector.length; at += 7) expect(dangersIn(pageAt(vector.slice(0, at), true, [], stream)), vector.slice(0, at)).toEqual([])
    }
  }, 60_000)

  it('gains nothing by the name of a box', () => {
    const text = '"><img src=x onerror=alert(1)> [1,20,30,40]\n{"label": "\\" onclick=\\"alert(1)", "bbox": [5,60,70,80]}'
    const marks = findBoxes(text).map((box, i) => ({ id: box.id, raw: text.slice(box.start, box.end), number: i + 1, name: box.label ?? '' }))
    const root = page(text, marks)
    expect(root.querySelectorAll('button[data-box]')).toHaveLength(2)
    expect(dangersIn(root)).toEqual([])
  })

  it('would be noticed: the check finds what it looks for', () => {
    const root = document.createElement('div')
    root.innerHTML = '<img src=x onerror="1"><a href="javascript:1">x</a><p style="x" onclick="1">y</p>'
    expect(dangersIn(root).length).toBeGreaterThanOrEqual(6)
  })
})
