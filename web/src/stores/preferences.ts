import { isRecord } from '@/lib/record'
import type { Language, Sampling } from '@/types'

export type Theme = 'light' | 'dark' | 'system'
export type SendKeys = 'source' | 'enter' | 'ctrl-enter'

export interface Preferences {
  language: Language
  theme: Theme
  sendKeys: SendKeys
  sampling: Sampling
  thinking: boolean
  defaultSystemPrompt: string
  shrinkPictures: boolean
  maxSide: number
  model: string | null // null: whatever the server has loaded
}

export interface NumberRule {
  min: number
  max: number
  step: number
  integer?: boolean
}

type NumberName = Exclude<keyof Sampling, 'stop'>

/** What the server accepts (docs/api.md, Parameters); `step` is for the field's arrows only. */
export const samplingRules: Record<NumberName, NumberRule> = {
  temperature: { min: 0, max: 2, step: 0.1 },
  top_p: { min: 0.01, max: 1, step: 0.05 },
  top_k: { min: 0, max: 1_000_000, step: 1, integer: true },
  min_p: { min: 0, max: 1, step: 0.05 },
  repetition_penalty: { min: 0.01, max: 10, step: 0.05 },
  presence_penalty: { min: -2, max: 2, step: 0.1 },
  frequency_penalty: { min: -2, max: 2, step: 0.1 },
  max_tokens: { min: 1, max: 1_000_000, step: 64, integer: true },
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, integer: true },
}

export const samplingNames = Object.keys(samplingRules) as NumberName[]
export const MOST_STOPS = 16
export const sideLimits = { min: 336, max: 4096, step: 16 } as const

export function isAllowed(rule: NumberRule, value: unknown): value is number {
  return typeof value === 'number' && value >= rule.min && value <= rule.max && (!rule.integer || Number.isSafeInteger(value))
}

/** An absent value means the server's default, so one that is taken back is taken out. */
export function withSampling<K extends keyof Sampling>(sampling: Sampling, name: K, value: Sampling[K]): Sampling {
  const { [name]: _old, ...others } = sampling
  return value === undefined ? others : { ...others, [name]: value }
}

const oneOf = <T extends string>(values: readonly T[], value: unknown, otherwise: T): T =>
  values.find((known) => known === value) ?? otherwise

const bool = (value: unknown, otherwise: boolean): boolean => (typeof value === 'boolean' ? value : otherwise)

function samplingOf(value: unknown): Sampling {
  const given = isRecord(value) ? value : {}
  const sampling: Sampling = {}
  for (const name of samplingNames) {
    const number = given[name]
    if (isAllowed(samplingRules[name], number)) sampling[name] = number
  }
  if (Array.isArray(given.stop)) {
    const stops = given.stop.filter((text): text is string => typeof text === 'string' && text !== '')
    if (stops.length > 0) sampling.stop = stops.slice(0, MOST_STOPS)
  }
  return sampling
}

/** What was stored, as far as it still means something: other versions of this page may have written it. */
export function preferencesOf(stored: unknown, firstLanguage: Language): Preferences {
  const given = isRecord(stored) ? stored : {}
  const side = given.maxSide
  return {
    language: oneOf(['en', 'zh'], given.language, firstLanguage),
    theme: oneOf(['light', 'dark', 'system'], given.theme, 'system'),
    sendKeys: oneOf(['source', 'enter', 'ctrl-enter'], given.sendKeys, 'source'),
    sampling: samplingOf(given.sampling),
    thinking: bool(given.thinking, false),
    defaultSystemPrompt: typeof given.defaultSystemPrompt === 'string' ? given.defaultSystemPrompt : '',
    shrinkPictures: bool(given.shrinkPictures, true),
    maxSide: typeof side === 'number' && side >= sideLimits.min && side <= sideLimits.max ? Math.round(side) : 2048,
    model: typeof given.model === 'string' && given.model !== '' ? given.model : null,
  }
}
