/** A marking as a teacher works on it: a mark for every question, right ones too, with what may be corrected by hand. */

import { isRecord } from '@/lib/record'
import type { Box } from '@/types'
import { boxOf, type Result } from './scenes'

export interface Mark {
  id: string // "Q3"
  right: boolean
  errorType: string
  location: string
  suggestion: string
  box?: Box // absent until someone places it: the answer has places of mistakes only
}

export interface Score {
  right: number
  all: number
}

const QUESTION = /^Q(\d+)$/
const numberOf = (id: string) => Number(QUESTION.exec(id)?.[1] ?? 0)
const textOf = (value: unknown) => (typeof value === 'string' ? value : '')

/** Every question of the page in order. The summary says how many there are; an answer that names Q9 of 8 has nine. */
export function marksOf(wrong: Record<string, unknown>, summary: unknown): Mark[] {
  const all = isRecord(summary) && typeof summary.all === 'number' ? summary.all : 0
  const named = Object.keys(wrong).filter((id) => QUESTION.test(id))
  const ids = new Set([...Array.from({ length: Math.min(all, 500) }, (_, at) => `Q${at + 1}`), ...named])
  // A page that begins with question 21 has as many questions as it says, not twenty more: named ones take the place of others.
  const spare = [...ids].filter((id) => !named.includes(id)).reverse()
  for (const id of spare) if (ids.size > Math.max(all, named.length)) ids.delete(id)
  return [...ids].sort((a, b) => numberOf(a) - numberOf(b)).map((id) => markOf(id, wrong[id]))
}

function markOf(id: string, value: unknown): Mark {
  if (!isRecord(value)) return { id, right: true, errorType: '', location: '', suggestion: '' }
  return {
    id,
    right: false,
    errorType: textOf(value.error_type),
    location: textOf(value.location),
    suggestion: textOf(value.suggestion),
    box: boxOf(value.box),
  }
}

export function scoreOf(marks: Mark[]): Score {
  return { right: marks.filter((mark) => mark.right).length, all: marks.length }
}

/** As the server writes a marking, for those who read it on. */
export function resultOf(marks: Mark[]): Result {
  const wrong = marks.filter((mark) => !mark.right)
  return {
    ...Object.fromEntries(wrong.map(({ id, errorType, location, suggestion, box }) => [id, { error_type: errorType, location, suggestion, box: box ?? null }])),
    summary: scoreOf(marks),
  }
}

export function changed(marks: Mark[], id: string, change: Partial<Mark>): Mark[] {
  return marks.map((mark) => (mark.id === id ? { ...mark, ...change } : mark))
}

/** One more question, behind the last. */
export function withOneMore(marks: Mark[]): Mark[] {
  const last = Math.max(0, ...marks.map(({ id }) => numberOf(id)))
  return [...marks, { id: `Q${last + 1}`, right: true, errorType: '', location: '', suggestion: '' }]
}

const MOST = 999
const LEAST_SIDE = 8
const within = (value: number, most: number) => Math.round(Math.min(Math.max(value, 0), most))

/** A box moved, or made larger at its lower right corner, inside the page. */
export function moved([x0, y0, x1, y1]: Box, dx: number, dy: number): Box {
  const left = within(x0 + dx, MOST - (x1 - x0))
  const top = within(y0 + dy, MOST - (y1 - y0))
  return [left, top, left + (x1 - x0), top + (y1 - y0)]
}

export function resized([x0, y0, x1, y1]: Box, dx: number, dy: number): Box {
  return [x0, y0, within(Math.max(x1 + dx, x0 + LEAST_SIDE), MOST), within(Math.max(y1 + dy, y0 + LEAST_SIDE), MOST)]
}

/** The box between two corners in any order; a mere click makes one of the usual size of a sum around itself. */
export function drawn(from: { x: number; y: number }, to: { x: number; y: number }): Box {
  const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)]
  const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)]
  if (right - left < LEAST_SIDE && bottom - top < LEAST_SIDE) return moved([0, 0, 160, 40], from.x - 80, from.y - 20)
  return resized([within(left, MOST - LEAST_SIDE), within(top, MOST - LEAST_SIDE), within(left, MOST - LEAST_SIDE), within(top, MOST - LEAST_SIDE)], right - left, bottom - top)
}
