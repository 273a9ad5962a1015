/** A JSON value as rows of a spreadsheet. A list of objects is a table; the one table inside an object (the lines of an
 * invoice) is repeated with the object's own fields beside each line; anything else is one row. */

import { isRecord } from '@/lib/record'

export type Row = Record<string, unknown>

export const isTable = (value: unknown): value is Row[] => Array.isArray(value) && value.length > 0 && value.every(isRecord)

/** Nested names are joined by a point; lists stay what they are. */
function flat(value: Row, prefix = ''): Row {
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, one]) => (isRecord(one) ? flat(one, `${prefix}${key}.`) : { [prefix + key]: one })),
  ) as Row
}

export function toRows(value: unknown): Row[] {
  if (isTable(value)) return value.flatMap(toRows)
  if (Array.isArray(value)) return value.map((one) => ({ value: one }))
  if (!isRecord(value)) return value === undefined ? [] : [{ value }]
  const tables = Object.entries(value).filter(([, one]) => isTable(one))
  const [name, table] = tables.length === 1 ? (tables[0] as [string, Row[]]) : []
  if (name === undefined || table === undefined) return [flat(value)]
  const others = flat(Object.fromEntries(Object.entries(value).filter(([key]) => key !== name)))
  return table.map((line) => ({ ...others, ...flat(line, `${name}.`) }))
}

/** Names of all columns, in the order in which they are first met. */
export const columnsOf = (rows: readonly Row[]): string[] => [...new Set(rows.flatMap((row) => Object.keys(row)))]

export function cellText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value) && value.every((one) => !isRecord(one) && !Array.isArray(one))) return value.map(cellText).join('; ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** For pasting into a spreadsheet: tabs and line ends within a cell would be read as its borders. */
export function toTsv(rows: readonly Row[], columns = columnsOf(rows)): string {
  const safe = (text: string) => {
    const line = text.replace(/[\t\r\n]+/g, ' ')
    return /^[=@+]|^-(?!\d)/.test(line) ? `'${line}` : line // never a formula
  }
  return [columns, ...rows.map((row) => columns.map((column) => cellText(row[column])))].map((line) => line.map(safe).join('\t')).join('\n')
}

/** A copy with one value replaced; `path` must lead somewhere. */
export function replaced(value: unknown, path: readonly (string | number)[], now: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return now
  if (Array.isArray(value)) return value.map((one, at) => (at === key ? replaced(one, rest, now) : (one as unknown)))
  return { ...(value as Row), [key]: replaced((value as Row)[key], rest, now) }
}

/** What somebody typed, as the kind of value that stood there: text stays text, also when it looks like a number. */
export function typed(text: string, before: unknown): unknown {
  if (typeof before === 'string') return text
  const trimmed = text.trim()
  if (trimmed === '') return null
  if (typeof before === 'boolean' || before === null) {
    if (trimmed === 'true' || trimmed === 'false') return trimmed === 'true'
  }
  const isNumber = /^-?(0|[1-9]\d*)(\.\d+)?$/.test(trimmed)
  return typeof before === 'number' && isNumber ? Number(trimmed) : text
}
