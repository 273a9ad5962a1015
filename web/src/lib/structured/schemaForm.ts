/** A schema as fields of a form, and back. A form knows less than JSON Schema: what it cannot show, it does not touch. */

import { isSchema, type Schema } from './jsonSchema'

export type FieldType = 'text' | 'number' | 'integer' | 'boolean' | 'date' | 'choice' | 'group'

export interface FormField {
  name: string
  type: FieldType
  description: string
  required: boolean
  nullable: boolean // the model may say that it is not there
  list: boolean
  choices: string[] // of 'choice'
  fields: FormField[] // of 'group', one level deep
}

export const FIELD_TYPES: readonly FieldType[] = ['text', 'number', 'integer', 'boolean', 'date', 'choice', 'group']

export const newField = (name = '', type: FieldType = 'text'): FormField => ({
  name, type, description: '', required: true, nullable: false, list: false, choices: [], fields: [],
}) // prettier-ignore

const PLAIN: Partial<Record<FieldType, Schema>> = {
  text: { type: 'string' },
  number: { type: 'number' },
  integer: { type: 'integer' },
  boolean: { type: 'boolean' },
  date: { type: 'string', format: 'date' },
}

function valueSchema(field: FormField): Schema {
  if (field.type === 'group') return objectSchema(field.fields)
  if (field.type !== 'choice') return { ...PLAIN[field.type] }
  const choices = field.choices.filter((choice) => choice !== '')
  return { type: 'string', ...(choices.length ? { enum: [...new Set(choices)] } : {}) }
}

function fieldSchema(field: FormField): Schema {
  const inner = valueSchema(field)
  const shape: Schema = field.list ? { type: 'array', items: inner } : inner
  const description = field.description.trim() ? { description: field.description.trim() } : {}
  if (!field.nullable) return { ...shape, ...description }
  const nullable = { ...shape, type: [shape.type, 'null'] }
  return { ...nullable, ...(Array.isArray(shape.enum) ? { enum: [...shape.enum, null] } : {}), ...description }
}

function objectSchema(fields: readonly FormField[]): Schema {
  const named = fields.filter((field) => field.name.trim() !== '')
  return {
    type: 'object',
    properties: Object.fromEntries(named.map((field) => [field.name.trim(), fieldSchema(field)])),
    required: named.filter((field) => field.required).map((field) => field.name.trim()),
    additionalProperties: false,
  }
}

export const toSchema = (fields: readonly FormField[]): Schema => objectSchema(fields)

/** Names that stand twice: the later would take the place of the earlier without a word. */
export function doubles(fields: readonly FormField[]): string[] {
  const names = fields.map((field) => field.name.trim()).filter(Boolean)
  return [...new Set(names.filter((name, at) => names.indexOf(name) !== at))]
}

const only = (schema: Schema, ...known: string[]) => Object.keys(schema).every((key) => known.includes(key))

function readType(schema: Schema): Pick<FormField, 'type' | 'choices' | 'fields'> | null {
  const nothing = { choices: [], fields: [] }
  if (schema.type === 'object') {
    const fields = readObject(schema, false)
    return fields && { ...nothing, type: 'group', fields }
  }
  if (schema.type === 'string' && Array.isArray(schema.enum)) {
    const texts = schema.enum.filter((one): one is string => typeof one === 'string')
    return only(schema, 'type', 'enum') && texts.length === schema.enum.length ? { ...nothing, type: 'choice', choices: texts } : null
  }
  if (schema.type === 'string' && schema.format === 'date') return only(schema, 'type', 'format') ? { ...nothing, type: 'date' } : null
  const plain: Record<string, FieldType> = { string: 'text', number: 'number', integer: 'integer', boolean: 'boolean' }
  const type = typeof schema.type === 'string' && Object.hasOwn(plain, schema.type) ? plain[schema.type] : undefined
  return type && only(schema, 'type') ? { ...nothing, type } : null
}

function readField(name: string, schema: unknown, required: boolean, groups: boolean): FormField | null {
  if (!isSchema(schema)) return null
  const { description, ...rest } = schema
  if (description !== undefined && typeof description !== 'string') return null
  const types = Array.isArray(rest.type) ? rest.type : [rest.type]
  const nullable = types.length === 2 && types[1] === 'null'
  if (types.length > 1 && !nullable) return null
  let shape: Schema = { ...rest, type: types[0] }
  if (nullable && Array.isArray(shape.enum)) {
    if (shape.enum.at(-1) !== null) return null
    shape.enum = shape.enum.slice(0, -1)
  }
  const list = shape.type === 'array'
  if (list) {
    if (!only(shape, 'type', 'items') || !isSchema(shape.items)) return null
    shape = shape.items
  }
  const read = readType(shape)
  if (!read || (read.type === 'group' && !groups)) return null
  return { name, description: description ?? '', required, nullable, list, ...read }
}

function readObject(schema: Schema, groups: boolean): FormField[] | null {
  if (schema.type !== 'object' || !isSchema(schema.properties) || schema.additionalProperties !== false) return null
  if (!only(schema, 'type', 'properties', 'required', 'additionalProperties')) return null
  const required = Array.isArray(schema.required) ? schema.required : []
  const fields = Object.entries(schema.properties).map(([name, one]) => readField(name, one, required.includes(name), groups))
  return fields.every((field) => field !== null) ? fields : null
}

/** null where the form would lose something of it; then it is edited as text. */
export function toForm(schema: unknown): FormField[] | null {
  return isSchema(schema) ? readObject(schema, true) : null
}
