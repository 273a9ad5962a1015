/** A ChatRequest as the JSON body of /v1/chat/completions: what is really sent, and what "view as code" shows. */
import { toDataUrl } from '@/lib/pictures/dataUrl'
import type { Attachment, ChatRequest, Sampling, Turn } from '@/types'

export type WirePart =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string } }
  | { type: 'video_url'; video_url: { url: string } }
  | { type: 'file'; file: { file_data?: string; file_url?: string; filename?: string }; pages?: string; password?: string }

export interface WireMessage {
  role: 'system' | 'user' | 'assistant'
  content: string | WirePart[]
}

export interface WireChat extends Sampling {
  model?: string
  messages: WireMessage[]
  stream: true
  stream_options: { include_usage: true }
  timings: true
  chat_template_kwargs?: { enable_thinking: boolean }
  response_format?: { type: 'json_schema'; json_schema: { name: string; schema: unknown; strict: true } }
  continue_final_message?: true
  add_generation_prompt?: false
}

interface WireOptions {
  /** 'placeholder' stands a short readable text in the place of a picture's bytes. */
  pictures?: 'data' | 'placeholder'
}

const FALLBACK_TYPES = { image: 'image/png', pdf: 'application/pdf', video: 'video/mp4', url: '' } as const

/** The MIME type that a file is sent with. */
export const typeOf = ({ kind, blob }: Attachment): string => blob?.type || FALLBACK_TYPES[kind]

/** What stands for a file's bytes in `pictures: 'placeholder'`. */
const placeholderFor = (file: Attachment): string => `data:${typeOf(file)};base64,<${file.name}>`

export async function toWire(request: ChatRequest, options: WireOptions = {}): Promise<WireChat> {
  const dataOf = options.pictures === 'placeholder' ? async (file: Attachment) => placeholderFor(file) : bytesOf
  const messages: WireMessage[] = []
  if (request.systemPrompt.trim()) messages.push({ role: 'system', content: request.systemPrompt })
  const turns = options.pictures === 'placeholder' ? request.turns.map(unsaid) : request.turns
  for (const turn of turns) messages.push(await messageOf(turn, dataOf))
  return {
    ...(request.model ? { model: request.model } : {}),
    messages,
    ...given(request.sampling),
    ...thinkingOf(request),
    ...(request.responseSchema === undefined
      ? {}
      : { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: request.responseSchema, strict: true } } }),
    ...(request.continueFinal ? { continue_final_message: true, add_generation_prompt: false } : {}),
    stream: true,
    stream_options: { include_usage: true },
    timings: true,
  }
}

/** Code is shown, copied and handed on: a password is not in it. */
const unsaid = (turn: Turn): Turn => ({
  ...turn,
  attachments: turn.attachments.map((file) => (file.password ? { ...file, password: '<password>' } : file)),
})

async function bytesOf(file: Attachment): Promise<string> {
  if (!file.blob) throw new MissingFile(file.name)
  return toDataUrl(file.blob, FALLBACK_TYPES[file.kind])
}

/** The bytes of an attachment are gone, such as after its browser data was cleared in part. */
export class MissingFile extends Error {
  constructor(readonly file: string) {
    super(`The file ${file} is no longer in this browser.`)
  }
}

/** Pictures first: the model was trained on questions that follow what they are about. */
async function messageOf(turn: Turn, dataOf: (file: Attachment) => Promise<string>): Promise<WireMessage> {
  if (turn.attachments.length === 0) return { role: turn.role, content: turn.text }
  const parts = await Promise.all(turn.attachments.map((file) => partOf(file, dataOf)))
  if (turn.text) parts.push({ type: 'text', text: turn.text })
  return { role: turn.role, content: parts }
}

async function partOf(file: Attachment, dataOf: (file: Attachment) => Promise<string>): Promise<WirePart> {
  const pages = file.pages?.trim() ? { pages: file.pages.trim() } : {}
  const password = file.password ? { password: file.password } : {}
  switch (file.kind) {
    case 'image':
      return { type: 'image_url', image_url: { url: await dataOf(file) } }
    case 'video':
      return { type: 'video_url', video_url: { url: await dataOf(file) } }
    case 'pdf':
      return { type: 'file', file: { file_data: await dataOf(file), filename: file.name }, ...pages, ...password }
    case 'url':
      return linked(file.url ?? '', { ...pages, ...password })
  }
}

/** A link tells by its end what kind of part it must be; without a known end it is a picture. */
function linked(url: string, pages: { pages?: string; password?: string }): WirePart {
  const path = url.split(/[?#]/, 1)[0]!.toLowerCase()
  if (path.endsWith('.pdf')) return { type: 'file', file: { file_url: url }, ...pages }
  if (/\.(mp4|mov|webm|mkv|avi)$/.test(path)) return { type: 'video_url', video_url: { url } }
  return { type: 'image_url', image_url: { url } }
}

/** Only what was set: everything absent is the server's default. */
function given(sampling: Sampling): Sampling {
  const entries = Object.entries(sampling).filter(
    ([, value]) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0),
  )
  return Object.fromEntries(entries) as Sampling
}

/** An answer that goes on with a given text cannot think first: the server refuses the two together. */
function thinkingOf(request: ChatRequest): Pick<WireChat, 'chat_template_kwargs'> {
  if (request.continueFinal) return {}
  return request.thinking === undefined ? {} : { chat_template_kwargs: { enable_thinking: request.thinking } }
}
