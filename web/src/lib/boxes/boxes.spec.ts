import { describe, expect, it } from 'vitest'
import { findBoxes } from './boxes'

const boxesOf = (text: string, pictures = 1) => findBoxes(text, pictures).map(({ box }) => [...box])
const labelsOf = (text: string) => findBoxes(text).map(({ label }) => label)
const picturesOf = (text: string, count = 3) => findBoxes(text, count).map(({ picture }) => picture)

describe('what a box is', () => {
  it.each([
    ['[22,30,190,68]', [22, 30, 190, 68]],
    ['[[22, 30, 190, 68]]', [22, 30, 190, 68]],
    ['[ 22 , 30 ,190,\n 68 ]', [22, 30, 190, 68]],
    ['［22，30，190，68］', [22, 30, 190, 68]],
    ['【２２，30，190，68】', [22, 30, 190, 68]],
    ['位于(62,627,193,661)', [62, 627, 193, 661]],
    ['<|begin_of_box|>[22,30,190,68]<|end_of_box|>', [22, 30, 190, 68]],
    ['<|begin_of_box|>22,30,190,68<|end_of_box|>', [22, 30, 190, 68]],
    ['<|begin_of_box|>[22 30 190 68]<|end_of_box|>', [22, 30, 190, 68]],
    ['<ref>dog</ref><box>(22,30),(190,68)</box>', [22, 30, 190, 68]],
    ['{"bbox_2d": [22, 30, 190, 68]}', [22, 30, 190, 68]],
    ['{"box_2d": [22, 30, 190, 68]}', [22, 30, 190, 68]],
    ["{'bbox': [22, 30, 190, 68]}", [22, 30, 190, 68]],
    ['{"box": [1, 2, 3, 4]}', [1, 2, 3, 4]],
    ['[22.5, 30.25, 190, 68.125]', [22.5, 30.25, 190, 68.125]],
    ['[0.25, 0.5, 0.75, 0.625]', [250, 500, 750, 625]],
    ['[0.0, 0.5, 1.0, 0.75]', [0, 500, 999, 750]],
    ['```python\nbbox = [22, 30, 190, 68]\n```', [22, 30, 190, 68]],
  ])('%j is one', (text, box) => {
    expect(boxesOf(text)).toEqual([box])
  })

  it.each([
    'The years [1999, 2004, 2010, 2020] were good.',
    'Prices: [12, 20, 39, 68]',
    '[12.50, 39.99, 128.00, 168.49]',
    '{"amounts": [12, 20, 39, 68]}',
    '[1, 2, 3, 4]',
    'the list [100, 200, 300, 400] has four numbers',
    'background: rgba(120, 30, 200, 250)',
    '```python\nxs = sorted([100, 200, 300, 400])\n```',
    'x = [100, 200, 300, 400]',
    '[100, 200, 300, 400, 500]',
    '[100, 200, 300]',
    '[100, 200, 1300, 400]',
    '[-5, 200, 300, 400]',
    '[5, 5, 5, 5]',
    '[190,68,22,30]',
    '[0, 0, 1000, 1000]',
    '价格[12, 20, 39, 68]',
    '[a, b, c, d]',
    '[22,30,190,68',
    '',
  ])('%j is none', (text) => {
    expect(boxesOf(text)).toEqual([])
  })

  it('takes its kind from the key of the list of lists that it is in', () => {
    expect(boxesOf('{"boxes": [[1,2,3,4], [5,6,7,8]]}')).toHaveLength(2)
    expect(boxesOf('{"rows": [[100,200,300,400], [500,600,700,800]]}')).toHaveLength(0)
  })

  it('finds several in the order of the text, with offsets of what it read', () => {
    const text = '70.9 [697,537,975,628]\n586.07 [[567,697,975,789]]\n78.90 [547,849,975,954]'
    const found = findBoxes(text)
    expect(found.map(({ id }) => id)).toEqual(['b0', 'b1', 'b2'])
    expect(found.map(({ start, end }) => text.slice(start, end))).toEqual(['[697,537,975,628]', '[[567,697,975,789]]', '[547,849,975,954]'])
  })
})

describe('what a box is called', () => {
  it.each([
    ['70.9 [697,537,975,628]', ['70.9']],
    ['- **Total**: [10,810,254,918]', ['Total']],
    ['1. The dog is located at [10,810,254,918].', ['The dog']],
    ['应付的位置是[10,810,254,918]', ['应付']],
    ['[10,810,254,918] is a red cup', ['red cup']],
    ['[10,810,254,918] cup, [20,30,254,318] plate', ['cup', 'plate']],
    ['cup [10,810,254,918], plate [20,30,254,318]', ['cup', 'plate']],
    ['| price | [10,810,254,918] |', ['price']],
    ['Stamp:\n[10,810,254,918]', ['Stamp']],
    ['Q4 57×9=513；空 X 未作答 [62,627,193,661]', ['Q4 57×9=513；空 X 未作答']],
    ['{"label": "dog", "bbox_2d": [10,810,254,918]}', ['dog']],
    ['[{"bbox_2d": [10,810,254,918], "label": "dog"}, {"bbox_2d": [20,30,54,318], "label": "a \\"cat\\""}]', ['dog', 'a "cat"']],
    ['{"Q4": {"error_type": "未作答", "box": [62,627,193,661]}, "summary": {"right": 5}}', ['Q4: 未作答']],
    ['<|begin_of_box|>[10,810,254,918]<|end_of_box|>', [undefined]],
    ['Picture 2: cup [10,810,254,918]', ['cup']],
    ['图2 [10,810,254,918]', [undefined]],
    ['第2图：杯子 [10,810,254,918]', ['杯子']],
    ['第2题：杯子 [10,810,254,918]', ['第2题：杯子']],
    ['[10,810,254,918]', [undefined]],
  ])('%j', (text, labels) => {
    expect(labelsOf(text)).toEqual(labels)
  })

  it('never takes more than a line may hold', () => {
    expect(labelsOf(`${'word '.repeat(400)}[10,810,254,918]`)[0]?.length).toBeLessThanOrEqual(60)
  })
})

describe('which picture a box lies on', () => {
  it.each([
    ['[10,810,254,918]', [0]],
    ['In picture 1: cup [10,810,254,918]', [0]],
    ['图2中 [10,810,254,918]', [1]],
    ['第一张图 [10,810,254,918]', [0]],
    ['the second image shows a cup [10,810,254,918]', [1]],
    ['Picture 1\ncup [10,810,254,918]\nplate [10,10,254,318]\nPicture 2\ncup [10,810,254,918]', [0, 0, 1]],
    ['[{"image": 1, "bbox": [10,810,254,918]}, {"image": 2, "bbox": [10,810,254,918]}]', [0, 1]],
    ['In picture 9: cup [10,810,254,918]', [0]],
  ])('%j', (text, pictures) => {
    expect(picturesOf(text)).toEqual(pictures)
  })
})

describe('over any text', () => {
  let seed = 7
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below
  const pick = <T>(from: readonly T[]) => from[random(from.length)] as T
  const corner = () => random(1040)
  const parts = ['cup ', '图2 ', '[', ']', '(', ')', '{"bbox": ', '}', ', ', '\n', '```', '**', '"', ':', '|', '<|begin_of_box|>', '<|end_of_box|>', '1999', '$5 ']
  const anyText = () => Array.from({ length: 40 }, () => (random(3) ? pick(parts) : `[${corner()},${corner()},${corner()},${corner()}]`)).join('')

  it('gives ordered corners inside the picture, a picture that exists, and offsets that do not overlap', () => {
    for (let round = 0; round < 300; round++) {
      const text = anyText()
      let end = 0
      for (const [i, found] of findBoxes(text, 3).entries()) {
        const [x0, y0, x1, y1] = found.box
        expect(x0 >= 0 && y0 >= 0 && x0 < x1 && y0 < y1 && x1 <= 999 && y1 <= 999, text).toBe(true)
        expect(found.id).toBe(`b${i}`)
        expect([0, 1, 2]).toContain(found.picture)
        expect(found.start, text).toBeGreaterThanOrEqual(end)
        expect(found.end).toBeGreaterThan(found.start)
        end = found.end
      }
    }
  })

  it('keeps ids and corners of lines that were there before the text grew', () => {
    const text = 'Two cups.\nred [10,810,254,918] and\nblue [20,30,54,318]\n{"bbox": [1,2,3,4], "label": "x"}\n图1 [100,200,300,400]'
    for (let length = 0; length <= text.length; length++) {
      const partial = findBoxes(text.slice(0, length)).map(({ id, box }) => ({ id, box }))
      expect(findBoxes(text).map(({ id, box }) => ({ id, box })).slice(0, partial.length)).toEqual(partial)
    }
  })

  it('is quick on long answers and on unclosed brackets', () => {
    const began = performance.now()
    findBoxes('[1,'.repeat(50_000))
    findBoxes('{"a": '.repeat(20_000))
    findBoxes('item [100,200,300,400]\n'.repeat(2000))
    expect(performance.now() - began).toBeLessThan(10_000)
  })
})
