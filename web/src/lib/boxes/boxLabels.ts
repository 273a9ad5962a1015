/** Where the names of boxes go: beside their box, inside the stage, and never over one another. */
import type { Rect, Size } from '@/types'

export interface LabelWish {
  rect: Rect // of the box, on the stage
  number: string
  words: string // may be empty
  first?: boolean // gets its place before the others, whole
}

export interface PlacedLabel extends Rect {
  text: string
}

const LONGEST = 26 // characters' width

/** A quarter em more or less does no harm here, and measuring costs a layout: wide characters are an em, others 0.56. */
export function textWidth(text: string, fontSize: number): number {
  let ems = 0
  for (const char of text) ems += /[\u1100-\u11ff\u2e80-\uffef\u{1f300}-\u{3ffff}]/u.test(char) ? 1 : /[A-Z@%MWmw]/.test(char) ? 0.72 : 0.56
  return ems * fontSize
}

export function placeLabels(wishes: readonly LabelWish[], stage: Size, fontSize = 12): (PlacedLabel | null)[] {
  const placed: (PlacedLabel | null)[] = wishes.map(() => null)
  const taken: PlacedLabel[] = []
  const order = wishes.map((_, i) => i).sort((a, b) => Number(wishes[b]?.first ?? false) - Number(wishes[a]?.first ?? false))
  for (const i of order) {
    const wish = wishes[i] as LabelWish
    if (!overlaps(wish.rect, { x: 0, y: 0, ...stage })) continue // out of sight
    const others = wishes.filter((other) => other !== wish && !contains(other.rect, wish.rect)).map(({ rect }) => rect)
    const label = best(tries(wish, fontSize).map((text) => spots(wish.rect, text, stage, fontSize)), taken, others, wish.first ?? false)
    if (!label) continue
    taken.push(label)
    placed[i] = label
  }
  return placed
}

/** Of the spots that are free: beside the box, over no other box, and with words rather than the number alone, in this order of worth. */
function best(texts: Spot[][], taken: readonly Rect[], others: readonly Rect[], whole: boolean): PlacedLabel | undefined {
  let found: PlacedLabel | undefined
  let least = Infinity
  texts.forEach((spotsOfText, short) => {
    if (short && whole && found) return
    spotsOfText.forEach(({ label, pushed }, i) => {
      const price = i * 0.1 + short * 5 + (pushed ? 4 : 0)
      if (price >= least || taken.some((other) => overlaps(label, other))) return
      const total = price + 8 * Math.min(3, others.filter((other) => overlaps(label, other)).length)
      if (total < least) [found, least] = [label, total]
    })
  })
  return found
}

/** With its words where there is room, else the number alone. */
function tries({ number, words }: LabelWish, fontSize: number): string[] {
  return words ? [`${number} ${shortened(words, fontSize)}`, number] : [number]
}

function shortened(words: string, fontSize: number): string {
  let text = words
  while (text.length > 1 && textWidth(text, fontSize) > LONGEST * 0.56 * fontSize) text = text.slice(0, -1)
  return text === words ? words : `${text.trimEnd()}…`
}

interface Spot {
  label: PlacedLabel
  pushed: boolean // back onto the stage, over its own box perhaps
}

/** Above, below, beside, inside. */
function spots(rect: Rect, text: string, stage: Size, fontSize: number): Spot[] {
  const width = Math.ceil(textWidth(text, fontSize) + fontSize * 0.9)
  const height = Math.ceil(fontSize * 1.6)
  const gap = fontSize / 4 // for the line around the box
  const [right, bottom] = [rect.x + rect.width, rect.y + rect.height]
  const corners = [
    [rect.x, rect.y - height - gap],
    [rect.x, bottom + gap],
    [right - width, rect.y - height - gap],
    [right - width, bottom + gap],
    [right + gap, rect.y],
    [rect.x - width - gap, rect.y],
    ...(rect.width > width * 1.5 && rect.height > height * 2 ? [[rect.x, rect.y], [right - width, bottom - height]] : []),
  ] as [number, number][]
  return corners.map(([wantedX, wantedY]) => {
    const [x, y] = [clamp(wantedX, stage.width - width), clamp(wantedY, stage.height - height)]
    return { label: { x, y, width, height, text }, pushed: Math.abs(x - wantedX) + Math.abs(y - wantedY) > 0.5 }
  })
}

function clamp(value: number, most: number): number {
  return Math.max(0, Math.min(most, value))
}

function contains(outer: Rect, inner: Rect): boolean {
  return outer.x <= inner.x && outer.y <= inner.y && outer.x + outer.width >= inner.x + inner.width && outer.y + outer.height >= inner.y + inner.height
}

export function overlaps(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}
