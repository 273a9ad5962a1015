/** What is wrong with a schema that somebody wrote, with the place of it: before the server has to refuse it. */

import { isAnnotation, isKnownFormat, isSchema, KEYWORDS, resolve, type Path, type Schema } from './jsonSchema'
import { placeOf, readJson, type JsonProblem } from './partialJson'

export type SchemaProblem =
  | { kind: 'json'; code: JsonProblem | 'cut' | 'empty'; line: number; column: number }
  | { kind: 'schema'; code: 'shape' | 'unsupported' | 'format' | 'pattern' | 'reference' | 'type' | 'root' | 'required'; path: Path; word: string }

const TYPES = new Set(['string', 'number', 'integer', 'boolean', 'null', 'array', 'object'])
const COUNTS = new Set(['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'])
const NUMBERS = new Set(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'])
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions'])
const LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const MANY = 20 // more than this is one mistake made often

function rightShape(keyword: string, value: unknown): boolean {
  if (COUNTS.has(keyword)) return Number.isInteger(value) && (value as number) >= 0
  if (NUMBERS.has(keyword)) return typeof value === 'number' && (keyword !== 'multipleOf' || value > 0)
  if (MAPS.has(keyword)) return isSchema(value)
  if (LISTS.has(keyword)) return Array.isArray(value) && value.length > 0
  if (keyword === 'enum') return Array.isArray(value) && value.length > 0
  if (keyword === 'required') return Array.isArray(value) && value.every((name) => typeof name === 'string')
  if (keyword === 'pattern' || keyword === 'format' || keyword === '$ref') return typeof value === 'string'
  return true
}

/** What is right by itself and yet cannot be: the server would refuse it, too. */
function impossible(keyword: string, value: unknown, schema: Schema, root: unknown): 'type' | 'format' | 'pattern' | 'reference' | 'required' | null {
  if (keyword === 'type') {
    const types = Array.isArray(value) ? value : [value]
    return types.length > 0 && types.every((type) => TYPES.has(type as string)) ? null : 'type'
  }
  if (keyword === 'format') return isKnownFormat(value) ? null : 'format'
  if (keyword === '$ref') return resolve(root, value as string) === undefined ? 'reference' : null
  if (keyword === 'required' && schema.additionalProperties === false && !schema.patternProperties && !schema.$ref && !schema.allOf) {
    const known = isSchema(schema.properties) ? schema.properties : {}
    return (value as string[]).every((name) => Object.hasOwn(known, name)) ? null : 'required'
  }
  if (keyword !== 'pattern') return null
  try {
    new RegExp(value as string, 'u')
  } catch {
    return 'pattern'
  }
  return /\(\?(?:[=!]|<[=!])|\\[1-9bB]|\\k</.test(value as string) ? 'pattern' : null // no look-around, references or word ends
}

function walk(schema: unknown, root: unknown, path: Path): SchemaProblem[] {
  if (typeof schema === 'boolean') return []
  if (!isSchema(schema)) return [{ kind: 'schema', code: 'shape', path, word: String(path.at(-1) ?? '') }]
  return Object.entries(schema).flatMap(([keyword, value]): SchemaProblem[] => {
    const here = [...path, keyword]
    const problem = (code: 'shape' | 'unsupported' | 'format' | 'pattern' | 'reference' | 'type' | 'required', word = keyword): SchemaProblem[] => [
      { kind: 'schema', code, path: here, word },
    ]
    if (!KEYWORDS.has(keyword) && !isAnnotation(keyword)) return problem('unsupported')
    if (!rightShape(keyword, value)) return problem('shape')
    const why = impossible(keyword, value, schema, root)
    if (why) return problem(why, typeof value === 'string' ? value : JSON.stringify(value))
    if (MAPS.has(keyword)) return Object.entries(value as Schema).flatMap(([name, one]) => walk(one, root, [...here, name]))
    if (LISTS.has(keyword)) return (value as unknown[]).flatMap((one, at) => walk(one, root, [...here, at]))
    if (keyword === 'items' || keyword === 'additionalProperties') return walk(value, root, here)
    return []
  })
}

export function schemaProblems(schema: unknown): SchemaProblem[] {
  if (!isSchema(schema)) return [{ kind: 'schema', code: 'root', path: [], word: '' }]
  return walk(schema, schema, []).slice(0, MANY)
}

export interface ReadSchema {
  schema: Schema | null // null where it cannot be asked for
  problems: SchemaProblem[]
}

/** A schema as text, also as it stands in a request (inside response_format or json_schema). */
export function readSchema(text: string): ReadSchema {
  if (!text.trim()) return { schema: null, problems: [{ kind: 'json', code: 'empty', line: 1, column: 1 }] }
  const { value, complete, problem } = readJson(text)
  if (!complete) {
    const place = placeOf(text, problem?.offset ?? text.trimEnd().length)
    return { schema: null, problems: [{ kind: 'json', code: problem?.code ?? 'cut', ...place }] }
  }
  const schema = unwrapped(value)
  const problems = schemaProblems(schema)
  return { schema: problems.length ? null : (schema as Schema), problems }
}

function unwrapped(value: unknown): unknown {
  if (!isSchema(value)) return value
  if (value.type === 'json_schema' && isSchema(value.json_schema)) return unwrapped(value.json_schema)
  if (isSchema(value.schema) && !value.type && !value.properties) return value.schema
  return value
}
