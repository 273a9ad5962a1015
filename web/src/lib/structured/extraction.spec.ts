import { describe, expect, it } from 'vitest'
import { judge } from './extraction'

const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }

describe('an answer that should be JSON', () => {
  it('is not blamed for what has not arrived yet', () => {
    expect(judge('{"a": ', false, schema)).toEqual({ value: {}, openPath: ['a'], complete: false, mismatches: [] })
    expect(judge('{', false, schema).mismatches).toEqual([])
  })

  it('is checked when it is whole', () => {
    expect(judge('{"a": "x"}', true, schema).mismatches).toMatchObject([{ path: ['a'], keyword: 'type' }])
    expect(judge('```json\n{"a": 1}\n```', true, schema)).toMatchObject({ value: { a: 1 }, complete: true, mismatches: [] })
  })

  it('is told where it broke off, with what had come', () => {
    expect(judge('{"a": 1,', true, schema)).toMatchObject({ value: { a: 1 }, problem: { code: 'cut', line: 1, column: 9 } })
    expect(judge('Sorry.', true, schema)).toMatchObject({ value: undefined, problem: { code: 'value', line: 1, column: 1 } })
  })
})
