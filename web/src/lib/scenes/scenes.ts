/** A business scene as the server describes it, and its result as fields that can be shown. Knows no scene by name: what a
 * scene wants to look like stands in its hints, so that one more scene needs nothing here. */

import { isRecord } from '@/lib/record'
import type { Box, Language } from '@/types'

export type InBoth = Partial<Record<Language, string>>
export type Gravity = 'pass' | 'review' | 'violation'
export type Result = Record<string, unknown>

/** As much of JSON Schema as the page looks at. */
export interface Shape {
  type?: string | string[]
  title?: string
  enum?: unknown[]
  items?: Shape
  properties?: Record<string, Shape>
  patternProperties?: Record<string, Shape>
}

export interface Scene {
  name: string
  title: InBoth
  description: InBoth
  answer: 'json' | 'text'
  fields: string[]
  question: InBoth
  translates: boolean
  schema: Shape
  sample: string | null
  show: Record<string, string>
  labels?: Record<string, InBoth>
  judge?: Record<string, Record<string, Gravity>>
  own: boolean
}

/** One thing of a result to be shown. A key of the hints such as `Q*` gathers what it matches into one field. */
export interface Field {
  key: string
  hint: string
  value: unknown
  shape?: Shape
  partner?: Field // what is shown together with it: the total of amounts, the score of marks
}

const PARTNERS: Record<string, string> = { amounts: 'total', marks: 'score' }

export function fieldsOf(scene: Scene, result: Result): Field[] {
  const left = new Set(Object.keys(result))
  const fields: Field[] = []
  for (const [key, hint] of Object.entries(scene.show)) {
    const names = [...left].filter((name) => matches(key, name))
    names.forEach((name) => left.delete(name))
    if (key.endsWith('*')) fields.push({ key, hint, value: Object.fromEntries(names.map((name) => [name, result[name]])) })
    else if (names.length) fields.push({ key, hint, value: result[key], shape: scene.schema.properties?.[key] })
  }
  for (const key of left) fields.push({ key, hint: '', value: result[key], shape: scene.schema.properties?.[key] })
  return joined(fields)
}

function joined(fields: Field[]): Field[] {
  const taken = new Set<Field>()
  const pairs = fields.map((field) => {
    const partner = fields.find((other) => other.hint === PARTNERS[field.hint] && !taken.has(other))
    if (!partner) return field
    taken.add(partner)
    return { ...field, partner }
  })
  return pairs.filter((_, at) => !taken.has(fields[at]!))
}

const matches = (key: string, name: string) => (key.endsWith('*') ? name.startsWith(key.slice(0, -1)) && /^\d+$/.test(name.slice(key.length - 1)) : key === name)

/** What a text in both languages says in one, or in the other where it has no words. */
export function said(text: InBoth | undefined, language: Language): string {
  return text?.[language] || text?.en || text?.zh || ''
}

/** What a key, or a value of few words, is called. */
export function nameOf(scene: Scene, word: string, language: Language): string {
  return said(scene.labels?.[word], language) || scene.schema.properties?.[word]?.title || word.replaceAll('_', ' ')
}

/** Four numbers from 0 to 999 whose corners are in order; everything else is no box. */
export function boxOf(value: unknown): Box | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined
  const [x0, y0, x1, y1] = value as unknown[]
  const edges = [x0, y0, x1, y1]
  if (!edges.every((edge): edge is number => typeof edge === 'number' && edge >= 0 && edge <= 1000)) return undefined
  return Number(x0) < Number(x1) && Number(y0) < Number(y1) ? [Number(x0), Number(y0), Number(x1), Number(y1)] : undefined
}

/** Everything in a result that has a `box`, with the words that stand beside it. */
export interface Boxed {
  id: string // the way to it: "Q3", "defects.0"
  label: string
  box: Box
  entry: Record<string, unknown>
}

export function boxedIn(value: unknown, path: string[] = []): Boxed[] {
  if (Array.isArray(value)) return value.flatMap((one, at) => boxedIn(one, [...path, String(at)]))
  if (!isRecord(value)) return []
  const box = boxOf(value.box)
  if (box) return [{ id: path.join('.'), label: labelOf(value, path), box, entry: value }]
  return Object.entries(value).flatMap(([key, one]) => boxedIn(one, [...path, key]))
}

function labelOf(entry: Record<string, unknown>, path: string[]): string {
  const words = Object.entries(entry).find(([key, one]) => key !== 'box' && typeof one === 'string' && one)?.[1]
  const at = path.at(-1) ?? ''
  return /^\d*$/.test(at) ? String(words ?? at) : at
}
