import { describe, expect, it } from 'vitest'
import { doubles, newField, toForm, toSchema } from './schemaForm'
import { READY } from './schemaReady'
import { schemaProblems } from './schemaProblems'

describe('a schema as a form', () => {
  it('comes back from the form as it went in, for every ready schema', () => {
    for (const { id, schema } of READY) {
      for (const language of ['en', 'zh'] as const) {
        const fields = toForm(schema(language))
        expect([id, fields && toSchema(fields)]).toEqual([id, schema(language)])
      }
    }
  })

  it('has nothing in the ready schemas that the server cannot hold the model to', () => {
    for (const { schema } of READY) expect(schemaProblems(schema('en'))).toEqual([])
  })

  it('makes lists, choices and values that may be missing', () => {
    const field = { ...newField('mark', 'choice'), choices: ['a', 'b', 'a', ''], nullable: true, description: ' A mark ' }
    const rows = { ...newField('rows', 'group'), list: true, required: false, fields: [newField('x', 'integer'), newField('')] }
    expect(toSchema([field, rows])).toEqual({
      type: 'object',
      properties: {
        mark: { type: ['string', 'null'], enum: ['a', 'b', null], description: 'A mark' },
        rows: {
          type: 'array',
          items: { type: 'object', properties: { x: { type: 'integer' } }, required: ['x'], additionalProperties: false },
        },
      },
      required: ['mark'],
      additionalProperties: false,
    })
  })

  it.each([
    { type: 'object', properties: { a: { type: 'string', maxLength: 3 } }, required: [], additionalProperties: false },
    { type: 'object', properties: {}, required: [] }, // others are allowed: a form would forbid them
    { type: 'object', properties: { a: { anyOf: [{ type: 'string' }] } }, required: [], additionalProperties: false },
    { type: 'object', properties: { a: toSchema([newField('b', 'group')]) }, required: [], additionalProperties: false },
    { type: 'array', items: { type: 'string' } },
    'text',
  ])('leaves alone what it cannot show: %j', (schema) => {
    expect(toForm(schema)).toBeNull()
  })

  it('names the names that stand twice', () => {
    expect(doubles([newField('a'), newField(' a '), newField('b'), newField(''), newField('')])).toEqual(['a'])
  })
})
