/** The JSON object that a box stands in, read from text that may be cut off: no parser would take it. */

export interface JsonObject {
  text: string // what stands between its braces, without the objects inside it
  key?: string // under which it stands in the object around it
}

const REACH = 4000
const DEEPEST = 8
const LABEL_KEYS = ['label', 'name', 'text', 'text_content', 'title', 'category', 'class', 'object', 'item', 'content', 'description', 'desc', 'error_type', 'type', '标签', '名称', '文字', '内容', '类别', '错误类型']
const PLAIN_KEYS = /^(?:objects?|items?|results?|data|boxes|bbox(?:es)?|detections?|answer|output|annotations?|location|position)$/i

export function objectAround(text: string, at: number): JsonObject | null {
  const open = braceBefore(text, at)
  return open < 0 ? null : objectAt(text, open)
}

/** From the innermost outwards. */
export function* objectsAround(text: string, at: number): Generator<JsonObject> {
  for (let open = braceBefore(text, at), depth = 0; open >= 0 && depth < DEEPEST; open = braceBefore(text, open), depth++) {
    const object = objectAt(text, open)
    if (object) yield object
  }
}

function objectAt(text: string, open: number): JsonObject | null {
  if (!/^\{\s*["']/.test(text.slice(open, open + 40))) return null
  const close = braceAfter(text, open + 1)
  const key = /["']([^"'\n]{1,60})["']\s*:\s*$/.exec(text.slice(Math.max(0, open - 80), open))?.[1]
  const body = withoutObjects(text.slice(open + 1, close))
  return key === undefined ? { text: body } : { text: body, key }
}

/** What the object calls its box: `Q4: missing` of {"Q4": {"error_type": "missing", "box": ...}}. */
export function quotedValue(object: JsonObject): string | undefined {
  let value: string | undefined
  for (const key of LABEL_KEYS) {
    value = new RegExp(`["']${key}["']\\s*:\\s*(?:"((?:[^"\\\\\\n]|\\\\.){1,200})"|'([^'\\n]{1,200})')`, 'i').exec(object.text)?.slice(1).find((group) => group !== undefined)
    if (value) break
  }
  const parts = [object.key && !PLAIN_KEYS.test(object.key) ? object.key : undefined, value && unescaped(value).trim()]
  return parts.filter(Boolean).join(': ') || undefined
}

function withoutObjects(body: string): string {
  for (let before = ''; before !== body; ) [before, body] = [body, body.replace(/\{[^{}]*\}/g, '')]
  return body
}

function unescaped(value: string): string {
  try {
    return JSON.parse(`"${value}"`) as string
  } catch {
    return value
  }
}

function braceBefore(text: string, at: number): number {
  let depth = 0
  for (let i = at - 1; i >= Math.max(0, at - REACH); i--) {
    if (text[i] === '}') depth++
    else if (text[i] === '{' && depth-- === 0) return i
  }
  return -1
}

function braceAfter(text: string, from: number): number {
  let depth = 0
  const last = Math.min(text.length, from + REACH)
  for (let i = from; i < last; i++) {
    if (text[i] === '{') depth++
    else if (text[i] === '}' && depth-- === 0) return i
  }
  return last
}
