/** The business scenes: what is offered, and one picture asked. */

import { findBoxes } from '@/lib/boxes/boxes'
import type { Result, Scene } from '@/lib/scenes/scenes'
import type { Box } from '@/types'
import { getJson, request, type RequestOptions } from './http'

export interface SceneList {
  scenes: Scene[]
  errors: { file: string; message: string }[] // of the operator's own folder
}

export interface SceneQuestion {
  question?: string
  rules?: string
  language?: string
  model?: string
}

/** A file, and what opens it. */
export interface SceneFile {
  file: File
  password?: string // PDF
}

export interface SceneAnswer {
  result: Result
  ms: number
  requestId?: string
  model?: string
  warning?: string // fields that the server did not know
  cached: boolean // answered without asking the model again
}

export const listScenes = (options?: RequestOptions) => getJson<SceneList>('/api/scenes', undefined, options)

function formOf({ file, password }: SceneFile, fields: object): FormData {
  const form = new FormData()
  form.append('file', file, file.name)
  if (password) form.append('password', password) // as it is: blanks may be part of it
  for (const [name, text] of Object.entries(fields)) if (typeof text === 'string' && text.trim()) form.append(name, text.trim())
  return form
}

export async function askScene(name: string, file: SceneFile, question: SceneQuestion, signal?: AbortSignal): Promise<SceneAnswer> {
  const begun = performance.now()
  const response = await request(`/api/scenes/${encodeURIComponent(name)}`, { method: 'POST', body: formOf(file, question), signal })
  const result = (await response.json()) as Result
  const header = (key: string) => response.headers.get(key) ?? undefined
  return {
    result,
    ms: performance.now() - begun,
    requestId: header('x-request-id'),
    model: header('x-flashweb-model'),
    warning: header('x-flashweb-warning'),
    cached: header('x-flashweb-cache') === 'hit',
  }
}

/** Asks once more, for the place of some words of an answer. Undefined when the model names none. */
export async function locate(file: SceneFile, words: string, signal?: AbortSignal): Promise<Box | undefined> {
  const prompt = `Where is "${words.replaceAll('"', "'")}" in the picture?`
  const form = formOf(file, { prompt, temperature: '0', max_tokens: '200' })
  const response = await request('/v1/multi-modal/inference', { method: 'POST', body: form, signal })
  const { text } = (await response.json()) as { text: string }
  return findBoxes(text, 1)[0]?.box
}
