import { describe, expect, it } from 'vitest'
import { newField, toSchema } from './schemaForm'
import { schemaInWords } from './schemaWords'

describe('a schema told to the model', () => {
  it('is a list of its fields, with types and meanings', () => {
    const items = { ...newField('items', 'group'), list: true, fields: [{ ...newField('mark', 'choice'), choices: ['a', 'b'] }] }
    const schema = toSchema([{ ...newField('total'), nullable: true, description: 'As printed' }, items])
    expect(schemaInWords(schema, 'en')).toBe(
      'Answer with JSON only. Fields:\n- total (text or null): As printed\n- items (list of object)\n  - mark (one of a / b)',
    )
    expect(schemaInWords(schema, 'zh')).toContain('- items (对象列表)')
  })

  it('is the schema itself where fields would not tell all of it', () => {
    expect(schemaInWords({ anyOf: [{ type: 'string' }] }, 'en')).toContain('{"anyOf":[{"type":"string"}]}')
  })
})
