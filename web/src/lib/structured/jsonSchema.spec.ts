import { describe, expect, it } from 'vitest'
import { check } from './jsonSchema'
import { readSchema } from './schemaProblems'

const failing = (value: unknown, schema: unknown) =>
  check(value, schema).mismatches.map(({ path, keyword }) => `${path.join('.')}:${keyword}`)

describe('the check of an answer', () => {
  it.each<[unknown, unknown, string[]]>([
    [1, { type: 'integer' }, []],
    [1.5, { type: 'integer' }, [':type']],
    [null, { type: ['string', 'null'] }, []],
    ['x', { enum: ['y', null] }, [':enum']],
    [{ a: [1] }, { const: { a: [1] } }, []],
    ['😀😀', { maxLength: 2, minLength: 2 }, []],
    ['ab', { pattern: '^a$' }, [':pattern']],
    ['2026-13-01', { format: 'date' }, [':format']],
    ['2026-02-29', { format: 'date' }, []], // by its shape, as the server
    ['a@b.c', { format: 'email' }, []],
    ['P1DT2H', { format: 'duration' }, []],
    ['P', { format: 'duration' }, [':format']],
    [0.3, { multipleOf: 0.1 }, []],
    [5, { minimum: 6, exclusiveMaximum: 5 }, [':minimum', ':exclusiveMaximum']],
    [[1, 'x', 'y', 2], { prefixItems: [{ type: 'number' }], items: { type: 'string' }, maxItems: 3 }, ['3:type', ':maxItems']],
    [{ a: 1, b: 2 }, { properties: { a: { type: 'string' } }, required: ['a', 'c'], additionalProperties: false }, ['a:type', ':required', 'b:additionalProperties']],
    [{ Q1: 1, x: 2 }, { patternProperties: { '^Q\\d$': { type: 'string' } }, additionalProperties: { type: 'string' } }, ['Q1:type', 'x:type']],
    [{ v: { v: 1 } }, { $ref: '#/$defs/n', $defs: { n: { properties: { v: { $ref: '#/$defs/n' } }, required: ['v'], type: 'object' } } }, ['v.v:type']],
    [5, { anyOf: [{ type: 'string' }, { type: 'null' }] }, [':anyOf']],
    [5, { oneOf: [{ type: 'number' }, { minimum: 1 }] }, [':oneOf']],
    [5, { allOf: [{ minimum: 6 }, { type: 'string' }] }, [':minimum', ':type']],
    ['x', false, [':false']],
  ])('of %j against %j', (value, schema, expected) => {
    expect(failing(value, schema)).toEqual(expected)
  })

  it('says what it could not check', () => {
    expect(check({}, { not: {}, title: 'x', 'x-own': 1 }).unchecked).toEqual(['not'])
    expect(check('x', { format: 'iban' }).unchecked).toEqual(['format iban'])
  })

  it('ends with a schema that refers to itself', () => {
    expect(check(1, { $ref: '#' }).unchecked).toEqual(['$ref'])
  })

  it('does not take an inherited name for a property', () => {
    expect(failing({}, { required: ['toString'], properties: { constructor: { type: 'string' } } })).toEqual([':required'])
  })
})

describe('a schema that somebody wrote', () => {
  const codes = (text: string) => readSchema(text).problems.map((problem) => problem.code)

  it('is told line and column of what is no JSON', () => {
    expect(readSchema('{\n  "type": "object",\n}').problems).toEqual([{ kind: 'json', code: 'key', line: 3, column: 1 }])
    expect(readSchema('{"type": "object"').problems).toEqual([{ kind: 'json', code: 'cut', line: 1, column: 18 }])
  })

  it('is told the keyword that cannot be enforced, and its place', () => {
    expect(readSchema('{"type":"object","properties":{"a":{"type":"string","not":{}}}}').problems).toEqual([
      { kind: 'schema', code: 'unsupported', path: ['properties', 'a', 'not'], word: 'not' },
    ])
  })

  it.each([
    ['{"type": "text"}', 'type'],
    ['{"pattern": "("}', 'pattern'],
    ['{"pattern": "(?=a)"}', 'pattern'],
    ['{"format": "iban"}', 'format'],
    ['{"$ref": "#/$defs/none"}', 'reference'],
    ['{"$ref": "https://example.org/x"}', 'reference'],
    ['{"enum": []}', 'shape'],
    ['{"minLength": -1}', 'shape'],
    ['{"properties": {"a": 3}}', 'shape'],
    ['{"properties": {}, "required": ["a"], "additionalProperties": false}', 'required'],
    ['[]', 'root'],
    ['  ', 'empty'],
  ])('%s has a problem: %s', (text, code) => {
    expect(codes(text)).toEqual([code])
  })

  it('may be pasted as it stands in a request', () => {
    const schema = { type: 'object', properties: { schema: { type: 'string' } } }
    const wrapped = { type: 'json_schema', json_schema: { name: 'x', schema } }
    for (const text of [schema, wrapped, wrapped.json_schema]) expect(readSchema(JSON.stringify(text)).schema).toEqual(schema)
  })
})
