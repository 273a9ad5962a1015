/** A comparison: one question, asked under two settings. */

import type { PictureSize } from '@/lib/pictures/pictureSize'
import type { AnswerRun, Attachment, ChatRequest, RunStats, Sampling } from '@/types'

export interface SideSettings {
  model: string | null
  systemPrompt: string
  ownQuestion: string // empty: the question for both
  sampling: Sampling
  thinking: boolean
  size: PictureSize
}

interface KeptSide {
  settings: SideSettings
  answer: AnswerRun
}

export interface Comparison {
  id: string
  createdAt: number
  question: string
  pictures: Attachment[]
  sides: [KeptSide, KeptSide]
}

export function requestFor(settings: SideSettings, question: string, pictures: Attachment[]): ChatRequest {
  return {
    ...(settings.model ? { model: settings.model } : {}),
    systemPrompt: settings.systemPrompt,
    turns: [{ role: 'user', text: settings.ownQuestion.trim() || question, attachments: pictures }],
    sampling: { ...settings.sampling },
    thinking: settings.thinking,
  }
}

export interface Measure {
  name: 'first' | 'total' | 'tokens' | 'speed' | 'image' | 'prompt' | 'cached'
  values: [string, string]
  better?: 0 | 1 // the side that is clearly faster
}

const MS = (value: number) => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`)
const COUNT = (value: number) => String(Math.round(value))
const MEASURES: [Measure['name'], keyof RunStats, (value: number) => string, 'low' | 'high' | null][] = [
  ['first', 'firstTokenMs', MS, 'low'],
  ['total', 'totalMs', MS, 'low'],
  ['tokens', 'completionTokens', COUNT, null],
  ['speed', 'tokensPerSecond', (value) => value.toFixed(1), 'high'],
  ['image', 'imageTokens', COUNT, null],
  ['prompt', 'promptTokens', COUNT, null],
  ['cached', 'cachedTokens', COUNT, null],
]
const CLEARLY = 1.1 // less than a tenth is chance
const ENOUGH = 32 // tokens of an answer that has a speed worth telling

/** A prompt that one side had to read and the other found kept: then the first token says nothing of the settings. */
export function unevenCache(left: RunStats | undefined, right: RunStats | undefined): boolean {
  const share = (stats: RunStats | undefined) => (stats?.cachedTokens ?? 0) / Math.max(1, stats?.promptTokens ?? 1)
  return left !== undefined && right !== undefined && Math.abs(share(left) - share(right)) > 0.2
}

export function measures(left: RunStats | undefined, right: RunStats | undefined): Measure[] {
  return MEASURES.flatMap(([name, key, show, good]): Measure[] => {
    const [one, other] = [left?.[key], right?.[key]]
    if (typeof one !== 'number' && typeof other !== 'number') return []
    const short = good === 'high' && Math.min(left?.completionTokens ?? 0, right?.completionTokens ?? 0) < ENOUGH
    const text = (value: unknown) => (typeof value === 'number' ? show(value) : '–')
    const measure: Measure = { name, values: [text(one), text(other)] }
    if (!good || short || (good === 'low' && unevenCache(left, right)) || typeof one !== 'number' || typeof other !== 'number' || Math.min(one, other) <= 0) return [measure]
    if (Math.max(one, other) / Math.min(one, other) < CLEARLY) return [measure]
    return [{ ...measure, better: one < other === (good === 'low') ? 0 : 1 }]
  })
}

/** Settings in which the two differ, by their names: sampling's stand beside the others. */
export function differences(left: SideSettings, right: SideSettings): [name: string, left: unknown, right: unknown][] {
  const flat = ({ sampling, ...rest }: SideSettings): Record<string, unknown> => ({ ...rest, ...sampling })
  const [one, other] = [flat(left), flat(right)]
  return [...new Set([...Object.keys(one), ...Object.keys(other)])]
    .filter((name) => JSON.stringify(one[name]) !== JSON.stringify(other[name]))
    .map((name) => [name, one[name], other[name]])
}
