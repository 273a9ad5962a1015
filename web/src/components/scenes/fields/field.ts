import type { Mark } from '@/lib/scenes/marks'
import type { Field, Gravity, Scene } from '@/lib/scenes/scenes'
import type { Language } from '@/types'

/** What every field component is given, whether it needs all of it or not. */
export interface FieldProps {
  scene: Scene
  field: Field
  language: Language
  name: string // the file's, for what is exported
  src: string | null // the picture
  active: string | null // the box that is pointed at
  marks: Mark[]
}

export interface FieldEmits {
  activate: [id: string | null]
  marks: [marks: Mark[]]
  place: [id: string] // the next box drawn on the page is this mark's
}

const TONES = { pass: 'ok', review: 'warn', violation: 'danger' } as const
const ICONS = { pass: 'check', review: 'warning', violation: 'close' } as const

export const toneOf = (gravity: Gravity | undefined) => (gravity ? TONES[gravity] : 'muted')
export const iconOf = (gravity: Gravity | undefined) => (gravity ? ICONS[gravity] : 'info')

/** What the scene says of one value; a scene that judges the key lets pass what it does not name. */
export function gravityOf(scene: Scene, key: string, value: unknown): Gravity | undefined {
  const meanings = scene.judge?.[key]
  if (!meanings) return undefined
  const empty = value === null || value === undefined || value === '' || value === false
  return meanings[String(value)] ?? meanings[empty ? 'empty' : 'some'] ?? 'pass'
}
