/** JSON values as source text of other languages. `Raw` is an expression that goes in as it stands, such as a variable. */

export class Raw {
  constructor(readonly expression: string) {}
}

export type Value = null | boolean | number | string | Raw | readonly Value[] | { readonly [key: string]: Value | undefined }

interface Syntax {
  words: { true: string; false: string; null: string }
  key: (name: string) => string
  raw: (expression: string) => string
  trailingComma: boolean
  step: string // one level of indentation
}

// Characters that editors draw as nothing, as a line end, or that turn the direction of what follows: what a reader sees
// would not be what runs.
const UNSEEN = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

/** A double-quoted string that JSON, Python and JavaScript read alike. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function written(value: Value, syntax: Syntax, indent: string): string {
  if (value instanceof Raw) return syntax.raw(value.expression)
  if (value === null) return syntax.words.null
  if (typeof value === 'boolean') return syntax.words[`${value}`]
  if (typeof value === 'number') return JSON.stringify(value)
  if (typeof value === 'string') return quoted(value)
  const inner = indent + syntax.step
  const isList = Array.isArray(value)
  const items = isList
    ? (value as readonly Value[]).map((item) => written(item, syntax, inner))
    : Object.entries(value as Record<string, Value | undefined>).flatMap(([name, item]) =>
        item === undefined ? [] : [`${syntax.key(name)}: ${written(item, syntax, inner)}`],
      )
  const [open, close] = isList ? ['[', ']'] : ['{', '}']
  if (items.length === 0) return open + close
  const end = syntax.trailingComma ? ',' : ''
  return `${open}\n${items.map((item) => inner + item).join(',\n')}${end}\n${indent}${close}`
}

const JSON_WORDS = { true: 'true', false: 'false', null: 'null' }

/** `raw` says how an expression stands inside a JSON text (the shell puts its value between the quotes). */
export const toJson = (value: Value, raw: (expression: string) => string = (text) => text, indent = ''): string =>
  written(value, { words: JSON_WORDS, key: quoted, raw, trailingComma: false, step: '  ' }, indent)

export const toPython = (value: Value, indent = ''): string =>
  written(
    value,
    { words: { true: 'True', false: 'False', null: 'None' }, key: quoted, raw: (text) => text, trailingComma: true, step: '    ' },
    indent,
  )

// __proto__ as a plain key would set the prototype instead of a property.
const jsKey = (name: string) =>
  name === '__proto__' ? '["__proto__"]' : /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name)

export const toJavaScript = (value: Value, indent = ''): string =>
  written(value, { words: JSON_WORDS, key: jsKey, raw: (text) => text, trailingComma: true, step: '  ' }, indent)

/** One word for a POSIX shell, whatever it holds (but NUL, which no argument can). */
export function shellWord(text: string): string {
  const plain = text.replaceAll('\0', '')
  return /^[\w./:=@%+-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", `'\\''`)}'`
}

/** Text for an unquoted here-document: only expressions that are put in afterwards are expanded. */
export const hereDocument = (text: string): string => text.replace(/[\\$`]/g, '\\$&')
