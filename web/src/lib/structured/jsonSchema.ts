/** Whether a JSON value keeps to a JSON Schema (draft 2020-12): exactly the keywords that the server enforces, so that
 * what it promises can be checked where the answer arrives. What is not checked is said, never passed over. */

import { isRecord } from '@/lib/record'

export type Path = readonly (string | number)[]
export type Schema = Record<string, unknown>

export interface Mismatch {
  path: Path // of the value
  keyword: string // of the schema
  wanted: unknown // the keyword's value, or the missing property's name
}

export interface Checked {
  mismatches: Mismatch[]
  unchecked: string[] // keywords and formats that were met and not understood
}

const ANNOTATIONS = new Set(['$schema', '$id', '$comment', 'title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$defs', 'definitions'])
const DAY = String.raw`\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])`
const CLOCK = String.raw`([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)`
const BYTE = String.raw`(25[0-5]|2[0-4]\d|1?\d?\d)`
const FORMATS: Record<string, RegExp> = {
  date: new RegExp(`^${DAY}$`),
  time: new RegExp(`^${CLOCK}$`, 'i'),
  'date-time': new RegExp(`^${DAY}T${CLOCK}$`, 'i'),
  duration: /^P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)$/,
  email: /^[^\s@"]+@[^\s@]+$/,
  hostname: /^(?=.{1,253}$)[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i,
  ipv4: new RegExp(`^${BYTE}(\\.${BYTE}){3}$`),
  ipv6: /^(?=.*:)[\da-f:.]{2,45}$/i,
  uuid: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i,
  uri: /^[a-z][a-z\d+.-]*:\S+$/i,
}

export const isSchema: (value: unknown) => value is Schema = isRecord

export function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value
}

function hasType(value: unknown, type: unknown): boolean {
  if (type === 'integer') return typeof value === 'number' && Number.isInteger(value)
  return typeOf(value) === type
}

export function equal(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (Array.isArray(one)) return Array.isArray(other) && one.length === other.length && one.every((item, at) => equal(item, other[at]))
  if (!isRecord(one) || !isRecord(other)) return false
  const keys = Object.keys(one)
  return keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && equal(one[key], other[key]))
}

/** A local reference's schema, or undefined where it leads nowhere. */
export function resolve(root: unknown, reference: string): unknown {
  if (reference === '#') return root
  if (!reference.startsWith('#/')) return undefined
  let found = root
  for (const step of reference.slice(2).split('/')) {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Schema)[name]
  }
  return found
}

const characters = (text: string) => [...text].length

function regex(source: unknown): RegExp | null {
  try {
    return new RegExp(String(source), 'u')
  } catch {
    return null
  }
}

class Check {
  readonly unchecked = new Set<string>()
  private depth = 0

  constructor(private readonly root: unknown) {}

  run(value: unknown, schema: unknown, path: Path): Mismatch[] {
    if (schema === false) return [{ path, keyword: 'false', wanted: false }]
    if (!isSchema(schema)) return []
    if (this.depth > 100) return (this.unchecked.add('$ref'), []) // a reference to itself with nothing between
    this.depth++
    const found = Object.entries(schema).flatMap(([keyword, wanted]) => this.keyword(keyword, wanted, value, schema, path))
    this.depth--
    return found
  }

  private keyword(keyword: string, wanted: unknown, value: unknown, schema: Schema, path: Path): Mismatch[] {
    const bad: Mismatch[] = [{ path, keyword, wanted }]
    const fails = (holds: boolean) => (holds ? [] : bad)
    switch (keyword) {
      case 'type':
        return fails((Array.isArray(wanted) ? wanted : [wanted]).some((type) => hasType(value, type)))
      case 'enum':
        return fails((wanted as unknown[]).some((item) => equal(item, value)))
      case 'const':
        return fails(equal(wanted, value))
      case '$ref': {
        const target = resolve(this.root, String(wanted))
        return target === undefined ? (this.unchecked.add(`$ref ${wanted}`), []) : this.run(value, target, path)
      }
      case 'allOf':
        return (wanted as unknown[]).flatMap((one) => this.run(value, one, path))
      case 'anyOf':
        return fails((wanted as unknown[]).some((one) => this.run(value, one, path).length === 0))
      case 'oneOf':
        return fails((wanted as unknown[]).filter((one) => this.run(value, one, path).length === 0).length === 1)
    }
    if (ANNOTATIONS.has(keyword) || keyword.startsWith('x-')) return []
    if (typeof value === 'number' && keyword in NUMBER) return fails(NUMBER[keyword]!(value, wanted as number))
    if (typeof value === 'string' && keyword in STRING) return this.text(keyword, wanted, value, bad)
    if (Array.isArray(value) && keyword in LIST) return this.list(keyword, wanted, value, schema, path, bad)
    if (isRecord(value) && keyword in OBJECT) return this.object(keyword, wanted, value, schema, path, bad)
    if (!(keyword in NUMBER || keyword in STRING || keyword in LIST || keyword in OBJECT)) this.unchecked.add(keyword)
    return []
  }

  private text(keyword: string, wanted: unknown, value: string, bad: Mismatch[]): Mismatch[] {
    if (keyword === 'minLength') return characters(value) >= (wanted as number) ? [] : bad
    if (keyword === 'maxLength') return characters(value) <= (wanted as number) ? [] : bad
    const expression = keyword === 'pattern' ? regex(wanted) : FORMATS[String(wanted)]
    if (!expression) return (this.unchecked.add(`${keyword} ${wanted}`), [])
    return expression.test(value) ? [] : bad
  }

  private list(keyword: string, wanted: unknown, value: unknown[], schema: Schema, path: Path, bad: Mismatch[]): Mismatch[] {
    if (keyword === 'minItems') return value.length >= (wanted as number) ? [] : bad
    if (keyword === 'maxItems') return value.length <= (wanted as number) ? [] : bad
    const first = Array.isArray(schema.prefixItems) ? schema.prefixItems : []
    if (keyword === 'prefixItems') return first.slice(0, value.length).flatMap((one, at) => this.run(value[at], one, [...path, at]))
    return value.slice(first.length).flatMap((item, at) => this.run(item, wanted, [...path, first.length + at]))
  }

  private object(keyword: string, wanted: unknown, value: Schema, schema: Schema, path: Path, bad: Mismatch[]): Mismatch[] {
    const names = Object.keys(value)
    switch (keyword) {
      case 'minProperties':
        return names.length >= (wanted as number) ? [] : bad
      case 'maxProperties':
        return names.length <= (wanted as number) ? [] : bad
      case 'required':
        return (wanted as string[]).flatMap((name) => (Object.hasOwn(value, name) ? [] : [{ path, keyword, wanted: name }]))
      case 'properties':
        return Object.entries(wanted as Schema).flatMap(([name, one]) =>
          Object.hasOwn(value, name) ? this.run(value[name], one, [...path, name]) : [],
        )
      case 'patternProperties':
        return Object.entries(wanted as Schema).flatMap(([source, one]) => {
          const expression = regex(source)
          if (!expression) return (this.unchecked.add(`pattern ${source}`), [])
          return names.filter((name) => expression.test(name)).flatMap((name) => this.run(value[name], one, [...path, name]))
        })
    }
    const patterns = Object.keys((schema.patternProperties as Schema | undefined) ?? {}).map(regex)
    const known = (schema.properties as Schema | undefined) ?? {}
    const others = names.filter((name) => !Object.hasOwn(known, name) && !patterns.some((one) => one?.test(name)))
    if (wanted === false) return others.map((name) => ({ path: [...path, name], keyword, wanted }))
    return others.flatMap((name) => this.run(value[name], wanted, [...path, name]))
  }
}

const NUMBER: Record<string, (value: number, wanted: number) => boolean> = {
  minimum: (value, wanted) => value >= wanted,
  maximum: (value, wanted) => value <= wanted,
  exclusiveMinimum: (value, wanted) => value > wanted,
  exclusiveMaximum: (value, wanted) => value < wanted,
  // 0.3 is a multiple of 0.1, though not in binary
  multipleOf: (value, wanted) => Math.abs(value / wanted - Math.round(value / wanted)) < 1e-9,
}
const STRING = { minLength: 1, maxLength: 1, pattern: 1, format: 1 }
const LIST = { prefixItems: 1, items: 1, minItems: 1, maxItems: 1 }
const OBJECT = { properties: 1, required: 1, patternProperties: 1, additionalProperties: 1, minProperties: 1, maxProperties: 1 }

/** Every keyword that is both enforced by the server and checked here. */
export const KEYWORDS: ReadonlySet<string> = new Set([
  'type', 'enum', 'const', '$ref', 'allOf', 'anyOf', 'oneOf',
  ...Object.keys(NUMBER), ...Object.keys(STRING), ...Object.keys(LIST), ...Object.keys(OBJECT),
]) // prettier-ignore
export const isAnnotation = (keyword: string): boolean => ANNOTATIONS.has(keyword) || keyword.startsWith('x-')
export const isKnownFormat = (format: unknown): boolean => typeof format === 'string' && Object.hasOwn(FORMATS, format)

/** The schema must be one that `schemaProblems` has no errors for. */
export function check(value: unknown, schema: unknown): Checked {
  const one = new Check(schema)
  const mismatches = one.run(value, schema, [])
  return { mismatches, unchecked: [...one.unchecked] }
}
