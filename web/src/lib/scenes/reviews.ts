/** What a scene's result gives cause for: findings, the verdict they make, and what a person decided about each. */

import { isRecord } from '@/lib/record'
import type { Box } from '@/types'
import { boxOf, type Gravity, type Result, type Scene } from './scenes'

export interface Finding {
  id: string // key and words: stays the same when the picture is asked again
  key: string
  text: string // words of the answer; empty where the value itself (true, false, null) says it
  value: string // as `judge` names it
  gravity: Exclude<Gravity, 'pass'>
  box?: Box
  onPicture: boolean // its words may stand there: the place can be asked for
}

export interface Decision {
  state?: 'accepted' | 'rejected'
  note?: string
}

/** By a finding's id. */
export type Decisions = Record<string, Decision>

export function findingsOf(scene: Scene, result: Result): Finding[] {
  return Object.entries(scene.judge ?? {}).flatMap(([key, meanings]) => findingsAt(key, result[key], meanings, scene.show?.[key] !== 'notes'))
}

function findingsAt(key: string, value: unknown, meanings: Record<string, Gravity>, quotes: boolean): Finding[] {
  const entries = Array.isArray(value) && value.length ? value : [value]
  return entries.flatMap((entry: unknown) => {
    const word = valueWord(entry)
    // A word of its own means more than that there is one.
    const name = word in meanings ? word : isEmpty(entry) ? 'empty' : 'some'
    const gravity = meanings[name]
    if (!gravity || gravity === 'pass') return []
    const text = textOf(entry)
    const box = isRecord(entry) ? boxOf(entry.box) : undefined
    return [{ id: `${key}:${text || word}`, key, text, value: word, gravity, box, onPicture: quotes && name === 'some' && text !== '' }]
  })
}

const valueWord = (value: unknown) => (isRecord(value) ? textOf(value) : Array.isArray(value) ? '' : String(value ?? null))
const isEmpty = (value: unknown) => value === null || value === undefined || value === '' || value === false || (Array.isArray(value) && !value.length)

function textOf(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  if (!isRecord(value)) return ''
  return Object.entries(value).flatMap(([key, one]) => (key !== 'box' && typeof one === 'string' ? [one] : [])).join(', ')
}

/** The gravest finding that nobody rejected; one that a person accepted is a violation, however it began. Undefined for a
 * scene that judges nothing. */
export function verdictOf(scene: Scene, findings: Finding[], decisions: Decisions = {}): Gravity | undefined {
  if (!Object.keys(scene.judge ?? {}).length) return undefined
  const standing = findings.filter(({ id }) => decisions[id]?.state !== 'rejected')
  if (standing.some(({ id, gravity }) => gravity === 'violation' || decisions[id]?.state === 'accepted')) return 'violation'
  return standing.length ? 'review' : 'pass'
}

/** How many findings nobody has decided about. */
export function undecided(findings: Finding[], decisions: Decisions): number {
  return findings.filter(({ id }) => !decisions[id]?.state).length
}

export function withDecision(decisions: Decisions, id: string, change: Decision): Decisions {
  const next = { ...decisions[id], ...change }
  const { [id]: _, ...others } = decisions
  return next.state || next.note?.trim() ? { ...others, [id]: next } : others
}
