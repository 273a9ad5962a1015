import { USUAL, type Limits } from '@/lib/limits'
import { reasonOf } from '@/lib/reason'
import type { Failure } from '@/types'
import { failureOf, getJson } from './http'
import { keyKindOf, type KeyKind } from './keys'
import type { components } from './schema'

export type HealthStatus = 'ok' | 'loading' | 'draining' | 'stalled' | 'dead' | 'stopped'

export interface Health {
  status: HealthStatus
  model_loaded: boolean
  model: string
  detail?: string
  progress?: number | null // of the stage of loading that `detail` names, 0 to 1
}

type WireModel = components['schemas']['ModelOut']
export type DefaultSampling = components['schemas']['DefaultSamplingOut']

/** What the server tells of its model; a server of another version may tell less. */
export interface ModelFacts {
  names: string[]
  maxModelLen: number | null
  defaults: DefaultSampling | null
  limits: Limits | null
}

const STATUSES: readonly string[] = ['ok', 'loading', 'draining', 'stalled', 'dead', 'stopped']
const PATIENCE_MS = 6_000

/** What `/health` says; null where nobody answers, or somebody else does (a proxy's 502). */
export async function health(): Promise<Health | null> {
  try {
    const response = await fetch('/health', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) })
    const body: unknown = await response.json() // a 503 tells its state too
    const known = typeof body === 'object' && body !== null && 'status' in body && STATUSES.includes(String(body.status))
    return known ? (body as Health) : null
  } catch {
    return null
  }
}

/** Whether a dead engine is given up for good, so that only a restart of the server helps. */
export async function gaveUp(): Promise<boolean> {
  try {
    const response = await fetch('/health/live', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) })
    return response.status === 503
  } catch {
    return false
  }
}

export async function listModels(askForKey: boolean): Promise<ModelFacts> {
  const { data } = await getJson<{ data: (Pick<WireModel, 'id'> & Partial<WireModel>)[] }>('/v1/models', undefined, { askForKey })
  const { max_model_len = null, default_sampling = null, limits } = data[0] ?? {}
  return { names: data.map((model) => model.id), maxModelLen: max_model_len, defaults: default_sampling, limits: limits ? limitsOf(limits) : null }
}

// Of messages no server tells yet.
const limitsOf = (told: components['schemas']['ModelLimitsOut'] & { max_messages?: number }): Limits => ({
  messages: told.max_messages ?? USUAL.messages,
  pictures: told.max_images,
  clips: told.max_videos,
  pages: told.max_document_pages,
  pictureBytes: told.max_image_bytes,
  clipBytes: told.max_video_bytes,
  bodyBytes: told.max_body_bytes,
  pixels: told.max_image_pixels,
  side: told.max_image_side,
})

export async function serverVersion(): Promise<string> {
  const { info } = await getJson<{ info: { version: string } }>('/openapi.json')
  return info.version
}

const DOORS: Record<KeyKind, string> = { user: '/v1/models', admin: '/api/admin/status' }

/** Whether a key opens its door; null when it does, else why not. Asked before a key is kept. */
export async function tryKey(kind: KeyKind, key: string): Promise<Failure | null> {
  const path = DOORS[kind]
  if (keyKindOf(path) !== kind) throw new Error('a key would go to the wrong door')
  try {
    const response = await fetch(path, { headers: { authorization: `Bearer ${key}` }, credentials: 'omit', signal: AbortSignal.timeout(PATIENCE_MS) })
    return response.ok ? null : await failureOf(response)
  } catch (error) {
    return { code: 'unreachable', message: reasonOf(error) }
  }
}
