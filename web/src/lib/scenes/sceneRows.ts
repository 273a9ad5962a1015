/** Results of many files as rows: in few words for the list, with everything for CSV and JSON. */

import { isRecord } from '@/lib/record'
import type { Failure, Language } from '@/types'
import { findingsOf, verdictOf, type Decisions } from './reviews'
import { fieldsOf, nameOf, type Field, type Result, type Scene } from './scenes'

export interface Outcome {
  file: string
  result?: Result // with the corrections made by hand
  failure?: Failure
  ms?: number
  requestId?: string
  model?: string
  decisions?: Decisions
  edited?: boolean
}

/** A result in a line: the score, the total, or what stands in its first fields. */
export function inShort(scene: Scene, result: Result, language: Language): string {
  return fieldsOf(scene, result)
    .flatMap((field) => shortField(scene, field, language))
    .join(' · ')
}

function shortField(scene: Scene, field: Field, language: Language): string[] {
  const { value, partner } = field
  if (field.hint === 'marks') return partner ? [scoreText(partner.value), ...Object.keys(isRecord(value) ? value : {})] : []
  if (field.hint === 'amounts') {
    const total = partner?.value
    return [typeof total === 'string' ? `${nameOf(scene, partner!.key, language)} ${total}` : plain(value, scene, language)]
  }
  if (field.hint === 'score') return [scoreText(value)]
  if (typeof value === 'boolean') return [`${nameOf(scene, field.key, language)}: ${value ? '✓' : '✗'}`]
  const text = plain(value, scene, language)
  return text ? [text] : []
}

const scoreText = (value: unknown) => (isRecord(value) ? `${String(value.right)}/${String(value.all)}` : '')

function plain(value: unknown, scene: Scene, language: Language): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value)) return value.map((one) => plain(one, scene, language)).join(', ')
  if (isRecord(value)) return Object.entries(value).filter(([key]) => key !== 'box').map(([, one]) => plain(one, scene, language)).join(' ')
  const text = String(value)
  return scene.labels?.[text] ? nameOf(scene, text, language) : text.replaceAll('\n', ' ')
}

const BEFORE = ['file', 'state', 'verdict']
const AFTER = ['accepted', 'rejected', 'notes', 'edited', 'ms', 'request_id', 'error']

/** The columns of the schema between the file's name and how it went; objects with known keys become a column a key. */
export function columnsOf(scene: Scene, rows: Record<string, unknown>[]): string[] {
  const judged = Object.keys(scene.judge ?? {}).length > 0
  const own = Object.entries(scene.schema.properties ?? {}).flatMap(([key, shape]) =>
    shape.properties ? Object.keys(shape.properties).map((inner) => `${key}.${inner}`) : [key],
  )
  const known = new Set([...BEFORE, ...own, ...AFTER])
  const more = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((key) => !known.has(key))
  return [...BEFORE, ...own, ...more.sort(byNumber), ...AFTER].filter((key) => judged || !['verdict', 'accepted', 'rejected', 'notes'].includes(key))
}

const byNumber = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true })

export function rowOf(scene: Scene, outcome: Outcome): Record<string, unknown> {
  const decisions = outcome.decisions ?? {}
  const findings = outcome.result ? findingsOf(scene, outcome.result) : []
  const decided = (state: string) => findings.filter(({ id }) => decisions[id]?.state === state).map(({ id }) => id)
  return {
    file: outcome.file,
    state: outcome.result ? 'done' : outcome.failure ? 'failed' : 'waiting',
    verdict: outcome.result ? verdictOf(scene, findings, decisions) : undefined,
    ...flat(outcome.result ?? {}),
    accepted: decided('accepted'),
    rejected: decided('rejected'),
    notes: findings.flatMap(({ id }) => (decisions[id]?.note ? [`${id}: ${decisions[id].note}`] : [])),
    edited: outcome.edited || undefined,
    ms: outcome.ms === undefined ? undefined : Math.round(outcome.ms),
    request_id: outcome.requestId ?? outcome.failure?.requestId,
    error: outcome.failure && `${outcome.failure.code}: ${outcome.failure.message}`,
  }
}

/** One level deep: `summary.right`, `Q3.error_type`. */
function flat(result: Result): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(result).flatMap(([key, value]): [string, unknown][] =>
      isRecord(value) ? Object.entries(value).map(([inner, one]): [string, unknown] => [`${key}.${inner}`, one]) : [[key, value]],
    ),
  )
}

/** For programs: what the scene answered, and what people made of it. */
export function exportOf(scene: Scene, outcomes: Outcome[]): unknown {
  return {
    scene: scene.name,
    items: outcomes.map((outcome) => {
      const findings = outcome.result ? findingsOf(scene, outcome.result) : []
      return {
        file: outcome.file,
        result: outcome.result ?? null,
        edited: outcome.edited ?? false,
        verdict: outcome.result ? (verdictOf(scene, findings, outcome.decisions) ?? null) : null,
        findings: findings.map((finding) => ({ ...finding, ...outcome.decisions?.[finding.id] })),
        error: outcome.failure ?? null,
        ms: outcome.ms ?? null,
        request_id: outcome.requestId ?? outcome.failure?.requestId ?? null,
        model: outcome.model ?? null,
      }
    }),
  }
}
