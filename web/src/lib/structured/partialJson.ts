/** Reads JSON that may not have come to its end: what has arrived is the value so far. Own, because JSON.parse gives
 * nothing for half a text, and its messages name no place that all browsers agree on. */

export type JsonProblem =
  | 'value' // something that begins no value
  | 'key' // a property's name in double quotes was expected
  | 'colon'
  | 'comma'
  | 'escape'
  | 'control' // a bare line end or control character inside a string
  | 'duplicate' // a name twice in one object
  | 'after' // text behind the end
  | 'deep'

export interface Read {
  value: unknown // undefined where nothing of it is there yet
  complete: boolean
  problem?: { code: JsonProblem; offset: number }
  openPath: (string | number)[] // where the text ends, while it is not complete: the value that is being written
}

const DEPTH = 200
const ESCAPES: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

class End extends Error {}
class Wrong extends Error {
  constructor(
    readonly code: JsonProblem,
    readonly offset: number,
  ) {
    super(code)
  }
}

class Reader {
  private at = 0
  private path: (string | number)[] = []
  openPath: (string | number)[] = []

  constructor(private readonly text: string) {}

  /** `keep` takes the value at once and as it grows, so that what was read is there when the text ends. */
  value(keep: (value: unknown) => void): void {
    this.space()
    const char = this.peek()
    if (char === '{') this.object(keep)
    else if (char === '[') this.list(keep)
    else if (char === '"') this.string(keep)
    else this.word(keep)
  }

  end(): void {
    while (this.at < this.text.length) {
      if (!/[ \t\r\n]/.test(this.text[this.at] as string)) throw new Wrong('after', this.at)
      this.at++
    }
  }

  private peek(): string {
    const char = this.text[this.at]
    if (char === undefined) throw new End()
    return char
  }

  private space(): void {
    while (/[ \t\r\n]/.test(this.peek())) this.at++
  }

  private within(key: string | number, read: () => void): void {
    if (this.path.length >= DEPTH) throw new Wrong('deep', this.at)
    this.path.push(key)
    this.openPath = [...this.path]
    read()
    this.path.pop()
    this.openPath = [...this.path]
  }

  private object(keep: (value: unknown) => void): void {
    const found: Record<string, unknown> = {}
    keep(found)
    this.at++
    this.space()
    if (this.peek() === '}') return void this.at++
    for (;;) {
      const start = this.at
      if (this.peek() !== '"') throw new Wrong('key', this.at)
      const key = this.string(() => {})
      if (Object.hasOwn(found, key)) throw new Wrong('duplicate', start)
      this.space()
      if (this.peek() !== ':') throw new Wrong('colon', this.at)
      this.at++
      // defineProperty: a property called __proto__ is one like any other
      this.within(key, () =>
        this.value((value) => Object.defineProperty(found, key, { value, enumerable: true, configurable: true, writable: true })),
      )
      if (this.closes('}')) return
    }
  }

  private list(keep: (value: unknown) => void): void {
    const found: unknown[] = []
    keep(found)
    this.at++
    this.space()
    if (this.peek() === ']') return void this.at++
    for (;;) {
      const index = found.length
      this.within(index, () => this.value((value) => (found[index] = value)))
      if (this.closes(']')) return
    }
  }

  private closes(char: string): boolean {
    this.space()
    const met = this.peek()
    if (met !== char && met !== ',') throw new Wrong('comma', this.at)
    this.at++
    if (met === char) return true
    this.space()
    return false
  }

  private string(keep: (value: string) => void): string {
    let found = ''
    this.at++
    for (;;) {
      const char = this.text[this.at]
      if (char === undefined) {
        keep(found)
        throw new End()
      }
      if (char === '"') break
      if (char === '\\') {
        const escape = this.escape()
        if (escape === undefined) {
          keep(found)
          throw new End()
        }
        found += escape
      } else if (char < ' ') {
        throw new Wrong('control', this.at)
      } else {
        found += char
        this.at++
      }
    }
    this.at++
    keep(found)
    return found
  }

  /** undefined: the text ends within it. */
  private escape(): string | undefined {
    const char = this.text[this.at + 1]
    if (char === undefined) return undefined
    if (char === 'u') {
      const digits = this.text.slice(this.at + 2, this.at + 6)
      if (!/^[0-9a-f]*$/i.test(digits)) throw new Wrong('escape', this.at)
      if (digits.length < 4) return undefined
      this.at += 6
      return String.fromCharCode(parseInt(digits, 16))
    }
    const meant = ESCAPES[char]
    if (meant === undefined) throw new Wrong('escape', this.at)
    this.at += 2
    return meant
  }

  /** A number or a name. One that the text ends in is not taken: 12 may become 128. */
  private word(keep: (value: unknown) => void): void {
    const [word = ''] = /^[-+.\w]*/.exec(this.text.slice(this.at, this.at + 400)) ?? []
    const ends = this.at + word.length >= this.text.length
    if (word === 'true' || word === 'false' || word === 'null') keep(word === 'null' ? null : word === 'true')
    else if (/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(word)) {
      if (ends && this.path.length) throw new End()
      keep(Number(word))
    } else if (ends && word !== '' && /^(t|tr|tru|f|fa|fal|fals|n|nu|nul|-?(0|[1-9]\d*)?(\.\d*)?([eE][-+]?)?)$/.test(word)) throw new End()
    else throw new Wrong('value', this.at)
    this.at += word.length
  }
}

export function readJson(text: string): Read {
  const reader = new Reader(text)
  let value: unknown
  try {
    reader.value((found) => (value = found))
    reader.end()
    return { value, complete: true, openPath: [] }
  } catch (error) {
    if (error instanceof End) return { value, complete: false, openPath: reader.openPath }
    if (!(error instanceof Wrong)) throw error
    return { value, complete: false, problem: { code: error.code, offset: error.offset }, openPath: reader.openPath }
  }
}

/** Models that are not held to a schema like to put a fence around their JSON, or a word before it. */
export function insideFence(text: string): string {
  const fenced = /```(?:json)?\s*\n([\s\S]*?)(?:\n```|$)/.exec(text)
  return (fenced?.[1] ?? text).trim()
}

/** Line and column, both from 1, as editors count. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}
