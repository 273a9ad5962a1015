/** Which picture a box lies on: the one its object or its line names, else the one named last, else the last one. */
import { numberIn, type JsonObject } from './json'
import type { Span } from './label'

const ORDINALS = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth']
const HAN = '一二三四五六七八九十'
const NAMED = new RegExp(
  String.raw`\b(?:picture|image|photo|img|figure)s?\s*(?:#|no\.?\s*)?([1-9]\d?)(?!\d)` +
    String.raw`|图(?:片|像)?\s*([1-9]\d?)(?!\d)|第\s*([1-9]\d?)\s*[张幅]|第([${HAN}])[张幅]|图([${HAN}])(?![\p{L}])` +
    String.raw`|\b(${ORDINALS.join('|')})\s+(?:picture|image|photo)\b`,
  'giu',
)

export function pictureOf(text: string, box: Span, previous: Span | undefined, next: Span | undefined, object: JsonObject | null, count: number): number {
  const last = Math.max(0, count - 1)
  if (last === 0) return 0
  const named = (object && numberIn(object)) || onLine(text, box, previous, next) || lastBefore(text, box.start)
  return named && named <= count ? named - 1 : last
}

function onLine(text: string, box: Span, previous?: Span, next?: Span): number | undefined {
  const lineStart = text.lastIndexOf('\n', box.start - 1) + 1
  const lineEnd = text.indexOf('\n', box.end) < 0 ? text.length : text.indexOf('\n', box.end)
  const before = names(text.slice(Math.max(lineStart, previous?.end ?? 0), box.start))
  // Behind a box a picture's name is the box's own only where it hangs on it: "[...] in picture 2", "[...](图2)".
  const behind = /^\s*(?:[(（]|(?:in|on|of|from)\b|在|位于)[^[\n]*/i.exec(text.slice(box.end, Math.min(lineEnd, next?.start ?? lineEnd)))
  const hanging = behind ? names(behind[0])[0] : undefined
  return hanging ?? before.at(-1)
}

function lastBefore(text: string, end: number): number | undefined {
  return names(text.slice(Math.max(0, end - 8000), end)).at(-1)
}

function names(text: string): number[] {
  return [...text.matchAll(NAMED)].map((match) => {
    const [, a, b, c, han, alone, ordinal] = match
    const digits = a ?? b ?? c
    if (digits) return Number(digits)
    const sign = han ?? alone
    return sign ? HAN.indexOf(sign) + 1 : ORDINALS.indexOf((ordinal as string).toLowerCase()) + 1
  })
}
