import { describe, expect, it } from 'vitest'
import { boxedIn, boxOf, fieldsOf, nameOf, type Scene } from './scenes'

const scene = (over: Partial<Scene>): Scene => ({
  name: 's', title: {}, description: {}, answer: 'json', fields: [], question: {}, translates: false,
  schema: {}, sample: null, show: {}, own: true, ...over,
})

describe('the fields of a result', () => {
  it('come in the order of the hints, then those without one', () => {
    const fields = fieldsOf(scene({ show: { b: 'flag', a: 'text' } }), { x: 1, a: 'y', b: true })
    expect(fields.map(({ key, hint }) => [key, hint])).toEqual([['b', 'flag'], ['a', 'text'], ['x', '']])
  })

  it('gather Q1, Q2, ... under Q*, and leave other words that begin with Q', () => {
    const [marks, rest] = fieldsOf(scene({ show: { summary: 'score', 'Q*': 'marks' } }), { Q4: 1, Quality: 2, Q10: 3, summary: 4 })
    expect(marks).toMatchObject({ hint: 'marks', value: { Q4: 1, Q10: 3 }, partner: { key: 'summary', value: 4 } })
    expect(rest).toMatchObject({ key: 'Quality', hint: '' })
  })

  it('show a sheet without a mistake as marks too', () => {
    expect(fieldsOf(scene({ show: { 'Q*': 'marks' } }), {})).toMatchObject([{ key: 'Q*', value: {} }])
  })

  it('keep a total without amounts as a field of its own', () => {
    expect(fieldsOf(scene({ show: { amounts: 'amounts', total: 'total' } }), { total: '1' })).toMatchObject([{ key: 'total', hint: 'total' }])
  })
})

describe('a name', () => {
  it('is the label, the schema\'s title or the key itself', () => {
    const one = scene({ labels: { a: { zh: '甲' } }, schema: { properties: { b: { title: 'Bee' } } } })
    expect(['a', 'b', 'not_known'].map((word) => nameOf(one, word, 'en'))).toEqual(['甲', 'Bee', 'not known'])
  })
})

describe('a box', () => {
  it('is four numbers of the page with corners in order', () => {
    expect(boxOf([1, 2, 3, 4])).toEqual([1, 2, 3, 4])
    for (const none of [[3, 2, 1, 4], [1, 2, 3], [1, 2, 3, 1001], ['1', 2, 3, 4], null, 'box']) expect(boxOf(none)).toBeUndefined()
  })

  it('is found at any depth, with its key or first words as label', () => {
    const found = boxedIn({ Q3: { error_type: 'x', box: [1, 2, 3, 4] }, defects: [{ box: [5, 6, 7, 8], name: 'crack' }, { name: 'no box' }] })
    expect(found.map(({ id, label }) => [id, label])).toEqual([['Q3', 'Q3'], ['defects.0', 'crack']])
  })
})
