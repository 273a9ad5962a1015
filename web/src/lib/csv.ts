/** Tables that leave the page: CSV as RFC 4180 has it, and the download of any bytes. */

/** A spreadsheet takes a cell that begins so for a formula; what a picture says must not become one. */
const FORMULA_START = /^[=+\-@\t\r]/
const PLAIN_NUMBER = /^[+-]?\d+(?:\.\d+)?$/
const NEEDS_QUOTES = /[",\r\n]/

/** Columns are those given, or all keys in the order in which the rows bring them. Lines end in CRLF, also the last. */
export function toCsv(rows: Record<string, unknown>[], columns?: string[]): string {
  const shown = columns ?? [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const lines = [shown.map(cell), ...rows.map((row) => shown.map((column) => cell(row[column])))]
  return lines.map((line) => `${line.join(',')}\r\n`).join('')
}

function cell(value: unknown): string {
  const text = asText(value)
  // A negative number is what it looks like; only other text gets the apostrophe that spreadsheets read as "this is text".
  const safe = FORMULA_START.test(text) && !PLAIN_NUMBER.test(text) ? `'${text}` : text
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function asText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object' || one === null)) return value.join('; ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Excel takes a CSV for the system's code page unless it begins with a byte order mark. */
export function csvBlob(csv: string): Blob {
  return new Blob(['\ufeff', csv], { type: 'text/csv;charset=utf-8' })
}

export function download(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  document.body.append(link) // Firefox follows only links that are in the document
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(url), 60_000) // a slow disk may still be reading
}
