/**
 * Boxes in an answer's text. Models write them in many ways (a bare list, nested lists, JSON, between box marks), and
 * four numbers in brackets are not always a box; what surrounds them decides. Pure, linear in the text, never throws.
 * A box counts once its bracket is closed, so that ids stay while a text grows.
 */
import type { Box } from '@/types'
import { objectAround, quotedValue } from './json'
import { labelOf } from './label'
import { pictureTeller } from './picture'

export interface FoundBox {
  id: string
  box: Box
  label?: string
  picture: number // counted from 0
  start: number // offsets in the text, brackets included
  end: number
}

/** What the surroundings say: `told` that it is a box, `denied`, or nothing. */
type Context = 'told' | 'denied' | 'open'

const MAX_BOXES = 1024 // the server's limit too
const NUMBER = String.raw`\s*([+-]?\d{1,4}(?:\.\d{1,8})?)\s*`
const LIST = `[\\[(]${NUMBER},${NUMBER},${NUMBER},${NUMBER},?\\s*[\\])]`
const PAIRS = `[\\[(]${NUMBER},${NUMBER}[\\])]\\s*,?\\s*[\\[(]${NUMBER},${NUMBER}[\\])]`
const SPACED = `\\[\\s*${Array(4).fill('([+-]?\\d{1,4}(?:\\.\\d{1,8})?)').join('\\s+')}\\s*\\]`
const MARKS = /<\|(?:begin|end)_of_box\|>|<\/?(?:box|bbox)>/gi

/** Key names that say "box", and words before a list that say it is something else. */
const BOX_NAME = /box|rect|coord|position|location|region|bounds|位置|坐标|框|区域/i
const OTHER_NAME = /(?:\b(?:values?|numbers?|lists?|arrays?|scores?|prices?|amounts?|years?|counts?|sizes?|weights?|dice|ids?|digits|data|vectors?|shape|padding|margin|rgba?|version)|数字|列表|数组|价格|金额|分数|年份|序列|向量)\s*(?:(?:is|are|were|of|为|是|有)\s*)?[:：=]?\s*$/i

export function findBoxes(text: string, pictureCount = 1): FoundBox[] {
  if (!/[[(［（【]/.test(text) && !/<\|begin_of_box\|>|<b?box>/i.test(text)) return []
  const plain = sameLength(text)
  const inMarks = markRanges(text)
  const code = codeRanges(text)
  const found: FoundBox[] = []
  let before: { end: number; context: Context } | null = null
  for (const candidate of candidates(plain)) {
    const context = contextOf(plain, candidate, before, inMarks, code)
    before = { end: candidate.end, context }
    const box = asBox(candidate.numbers, context)
    if (!box || (candidate.loose && context !== 'told')) continue
    const [start, end] = withOuterBrackets(plain, candidate.start, candidate.end)
    found.push({ id: `b${found.length}`, box, picture: 0, start, end })
    if (found.length === MAX_BOXES) break
  }
  const objects = text.includes('{')
  const pictureOf = pictureTeller(text, pictureCount)
  found.forEach((box, i) => {
    const object = objects ? objectAround(text, box.start) : null
    const label = object ? quotedValue(object) : labelOf(text, box, found[i - 1], found[i + 1])
    if (label) box.label = label
    box.picture = pictureOf(box.start)
  })
  return found
}

interface Candidate {
  start: number
  end: number
  numbers: string[]
  loose: boolean // a notation that is a box only where the surroundings say so
}

function* candidates(plain: string): Generator<Candidate> {
  const pattern = new RegExp(`(?:${LIST})|(?:${PAIRS})|(?:${SPACED})`, 'g')
  for (const match of plain.matchAll(pattern)) {
    const numbers = match.slice(1).filter((group) => group !== undefined)
    yield { start: match.index, end: match.index + match[0].length, numbers, loose: match[1] === undefined }
  }
}

function contextOf(plain: string, at: Candidate, before: { end: number; context: Context } | null, marks: Ranges, code: Ranges): Context {
  if (inside(marks, at.start)) return 'told'
  // A list of lists has one key for all of them: what held for the neighbour holds here.
  if (before && /^[\s,[\]]*$/.test(plain.slice(before.end, at.start)) && plain.slice(before.end, at.start).includes(',')) return before.context
  const line = plain.slice(Math.max(0, at.start - 70), at.start)
  const nested = /\[\s*\[*$/.test(line)
  const key = keyBefore(line.replace(/[\s[]+$/, ''))
  if (key) return BOX_NAME.test(key) ? 'told' : nested && plain.charAt(at.end) === ']' ? 'open' : 'denied'
  if (/\b(?:b?box|bounding box|coordinates?)\b[^\n[(]{0,24}$|(?:位置|坐标|框)[^\n[(]{0,12}$/i.test(line)) return 'told'
  if (inside(code, at.start)) return 'denied'
  if (plain.charAt(at.start) === '(' && /[\w)\]]$/.test(line)) return 'denied' // a call: rgba(1, 2, 3, 4)
  return OTHER_NAME.test(line.replace(/[[\s]*$/, ' ')) ? 'denied' : 'open'
}

/** `"key":` or `name =` at the end of a line. */
function keyBefore(line: string): string | undefined {
  if (line.endsWith(':')) return /["']([^"'\n]{1,60})["']\s*:$/.exec(line)?.[1]
  return line.endsWith('=') ? /([\w.]+)\s*=$/.exec(line)?.[1] : undefined
}

function asBox(numbers: string[], context: Context): Box | null {
  if (context === 'denied') return null
  const told = context === 'told'
  if (!told && numbers.every((number) => /\.\d\d$/.test(number)) && numbers.some((number) => Number(number) > 1)) return null // prices
  let values = numbers.map(Number)
  const share = values.every((value) => value >= 0 && value <= 1) && numbers.some((number) => number.includes('.'))
  if (share) values = values.map((value) => Math.min(999, value * 1000)) // of width and height, not per mille
  if (values.some((value) => value > 999 || value < 0)) return null
  const box = values as unknown as Box
  // Nothing that a person would look for is 3 per mille wide: [1, 2, 3, 4] is a list.
  const least = told ? Number.EPSILON : 4
  return box[2] - box[0] >= least && box[3] - box[1] >= least ? box : null
}

function withOuterBrackets(plain: string, start: number, end: number): [number, number] {
  while (plain[start - 1] === '[' && plain[end] === ']') [start, end] = [start - 1, end + 1]
  return [start, end]
}

/** Full-width digits, commas and brackets as ASCII, box marks as brackets and blanks: every offset stays what it was. */
function sameLength(text: string): string {
  return text
    .replace(/[０-９]/g, (digit) => String.fromCharCode(digit.charCodeAt(0) - 0xfee0))
    .replace(/[，、]/g, ',')
    .replace(/：/g, ':')
    .replace(/[［【]/g, '[')
    .replace(/[］】]/g, ']')
    .replace(/（/g, '(')
    .replace(/）/g, ')')
    .replace(/．/g, '.')
    .replace(/(<\|begin_of_box\|>|<b?box>)(\s*[\d., ]+\s*)(<\|end_of_box\|>|<\/b?box>)/gi, (_all, open: string, body: string, close: string) => `${' '.repeat(open.length - 1)}[${body}]${' '.repeat(close.length - 1)}`)
    .replace(MARKS, (mark) => ' '.repeat(mark.length))
}

type Ranges = readonly (readonly [number, number])[]

function inside(ranges: Ranges, at: number): boolean {
  return ranges.some(([start, end]) => at >= start && at < end)
}

function markRanges(text: string): Ranges {
  const open = /<\|begin_of_box\|>|<b?box>/gi
  return [...text.matchAll(open)].map((match) => {
    const close = text.slice(match.index).search(/<\|end_of_box\|>|<\/b?box>/i)
    return [match.index, close < 0 ? text.length : match.index + close] as const
  })
}

/** Fences of a programming language: lists in there are data. JSON and nameless fences are how models hand over boxes. */
function codeRanges(text: string): Ranges {
  const ranges: [number, number][] = []
  let open: { at: number; fence: string; data: boolean } | null = null
  for (const match of text.matchAll(/^[ \t]*(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n]*$/gm)) {
    const fence = match[1] as string
    if (!open) open = { at: match.index, fence, data: /^(?:json\w*|text|plain\w*|)$/i.test(match[2] as string) }
    else if (fence[0] === open.fence[0] && fence.length >= open.fence.length && !match[2]) {
      if (!open.data) ranges.push([open.at, match.index])
      open = null
    }
  }
  if (open && !open.data) ranges.push([open.at, text.length])
  return ranges
}
