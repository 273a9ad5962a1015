import { describe, expect, it } from 'vitest'
import { columnsOf, exportOf, inShort, rowOf } from './sceneRows'
import type { Scene } from './scenes'

const base = { name: 's', title: {}, description: {}, answer: 'json', fields: [], question: {}, translates: false, sample: null, own: false } as const
const audit: Scene = {
  ...base, fields: [], show: { price: 'flag', words: 'tags' },
  labels: { price: { en: 'Price' } }, judge: { words: { some: 'violation' } },
  schema: { properties: { price: {}, words: {} } },
}
const marking: Scene = {
  ...base, fields: [], show: { summary: 'score', 'Q*': 'marks' },
  schema: { properties: { summary: { properties: { right: {}, all: {} } } } },
}

describe('a result in short', () => {
  it('says flags by name and tags as they are', () => {
    expect(inShort(audit, { price: true, words: ['best', 'first'] }, 'en')).toBe('Price: ✓ · best, first')
  })

  it('of a marking is the score and the wrong questions', () => {
    expect(inShort(marking, { Q4: {}, Q10: {}, summary: { right: 6, all: 8 } }, 'en')).toBe('6/8 · Q4 · Q10')
  })
})

describe('rows', () => {
  const outcome = { file: 'a.png', result: { price: true, words: ['best'] }, ms: 12.6, requestId: 'req_1', decisions: { 'words:best': { state: 'rejected' as const, note: 'a name' } } }

  it('have the verdict after the review, and the review', () => {
    expect(rowOf(audit, outcome)).toMatchObject({ file: 'a.png', state: 'done', verdict: 'pass', price: true, rejected: ['words:best'], notes: ['words:best: a name'], ms: 13, request_id: 'req_1' })
  })

  it('of failed files have the error with its request', () => {
    const row = rowOf(audit, { file: 'b', failure: { code: 'invalid_image', message: 'no picture', requestId: 'req_2' } })
    expect(row).toMatchObject({ state: 'failed', error: 'invalid_image: no picture', request_id: 'req_2', verdict: undefined })
  })

  it('have the columns of the schema, those of questions in order of their numbers, and none for a verdict that is not given', () => {
    const rows = [rowOf(marking, { file: 'a', result: { Q10: { location: 'x' }, Q2: { location: 'y' }, summary: { right: 1, all: 3 } } })]
    expect(columnsOf(marking, rows)).toEqual(['file', 'state', 'summary.right', 'summary.all', 'Q2.location', 'Q10.location', 'edited', 'ms', 'request_id', 'error'])
    expect(columnsOf(audit, [])).toContain('verdict')
  })

  it('leave as JSON with every finding and its decision', () => {
    expect(exportOf(audit, [outcome, { file: 'c' }])).toMatchObject({
      scene: 's',
      items: [{ verdict: 'pass', findings: [{ id: 'words:best', state: 'rejected', note: 'a name' }] }, { file: 'c', result: null, verdict: null, error: null }],
    })
  })
})
