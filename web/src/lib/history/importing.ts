/** A file of exported conversations, checked entry by entry. Nobody's word is taken for it: wrong types, sizes and links
 * end the import; ids are made anew, so that no file can write over what is there; only known fields are taken. */
import { fromBase64 } from '@/lib/pictures/dataUrl'
import { safeType } from '@/lib/pictures/fileTypes'
import { isRecord } from '@/lib/record'
import type { Attachment, ChatRequest, Conversation, Failure, FinishReason, Message, RunStats, Sampling } from '@/types'
import { newId } from './db'
import { FORMAT, VERSION, type Kept } from './exporting'
import { mended } from './tree'

const LIMITS = {
  fileBytes: 256 * 1024 * 1024,
  conversations: 2000,
  messages: 5000, // of one conversation
  attachments: 64,
  text: 2_000_000, // characters
  name: 1000,
  files: 5000,
}

export type ImportProblem = 'noJson' | 'noExport' | 'newer' | 'tooLarge' | 'tooMany' | 'wrong' | 'empty'

export class ImportError extends Error {
  constructor(
    readonly problem: ImportProblem,
    readonly values: Record<string, string | number> = {},
  ) {
    super(problem)
  }
}

export async function readExport(file: Blob): Promise<Kept[]> {
  const megabytes = (bytes: number) => Math.ceil(bytes / 1024 / 1024)
  if (file.size > LIMITS.fileBytes) throw new ImportError('tooLarge', { size: megabytes(file.size), limit: megabytes(LIMITS.fileBytes) })
  let data: unknown
  try {
    data = JSON.parse(await file.text())
  } catch {
    throw new ImportError('noJson')
  }
  return readData(data)
}

export function readData(data: unknown): Kept[] {
  if (!isRecord(data) || data.format !== FORMAT || !Array.isArray(data.conversations)) throw new ImportError('noExport')
  if (typeof data.version !== 'number' || data.version > VERSION) throw new ImportError('newer')
  const files = filesOf(data.files)
  const kept = list(data.conversations, 'conversations', LIMITS.conversations).map((one, at) => conversationOf(one, `conversations[${at}]`, files))
  if (kept.length === 0) throw new ImportError('empty')
  return kept
}

type Files = ReadonlyMap<string, { type: string; base64: string }>

function filesOf(value: unknown): Files {
  const entries = Object.entries(value === undefined ? {} : record(value, 'files'))
  if (entries.length > LIMITS.files) throw new ImportError('tooMany', { where: 'files', limit: LIMITS.files })
  return new Map(
    entries.map(([key, file]) => {
      const { type, base64 } = record(file, `files.${key}`)
      return [key, { type: text(type, `files.${key}.type`, LIMITS.name), base64: text(base64, `files.${key}.base64`, LIMITS.fileBytes) }]
    }),
  )
}

function conversationOf(value: unknown, where: string, files: Files): Kept {
  const raw = record(value, where)
  const id = newId()
  const ids = new Map<string, string>()
  const blobs = new Map<string, Blob>() // shared by the messages of the conversation, as they were
  const rows = list(raw.messages, `${where}.messages`, LIMITS.messages)
  for (const [at, row] of rows.entries()) ids.set(text(record(row, `${where}.messages[${at}]`).id, `${where}.messages[${at}].id`, LIMITS.name), newId())
  const messages = mended(rows.map((row, at) => messageOf(record(row, ''), `${where}.messages[${at}]`, { id, ids, files, blobs })))
  const conversation: Conversation = {
    id,
    title: text(raw.title, `${where}.title`, LIMITS.name),
    titleIsOwn: raw.titleIsOwn === true,
    systemPrompt: text(raw.systemPrompt ?? '', `${where}.systemPrompt`, LIMITS.text),
    leafId: ids.get(String(raw.leafId)) ?? messages[messages.length - 1]?.id ?? null,
    createdAt: moment(raw.createdAt, `${where}.createdAt`),
    updatedAt: moment(raw.updatedAt, `${where}.updatedAt`),
  }
  return { conversation, messages }
}

interface Around {
  id: string
  ids: ReadonlyMap<string, string>
  files: Files
  blobs: Map<string, Blob>
}

function messageOf(raw: Record<string, unknown>, where: string, around: Around): Message {
  if (raw.role !== 'user' && raw.role !== 'assistant') throw wrong(`${where}.role`)
  const attachments = list(raw.attachments, `${where}.attachments`, LIMITS.attachments)
  const message: Message = {
    id: around.ids.get(String(raw.id))!,
    conversationId: around.id,
    parentId: raw.parentId === null ? null : (around.ids.get(String(raw.parentId)) ?? null),
    role: raw.role,
    text: text(raw.text, `${where}.text`, LIMITS.text),
    attachments: attachments.map((file, at) => attachmentOf(record(file, `${where}.attachments[${at}]`), `${where}.attachments[${at}]`, around)),
    createdAt: moment(raw.createdAt, `${where}.createdAt`),
  }
  if (raw.thinking !== undefined) message.thinking = text(raw.thinking, `${where}.thinking`, LIMITS.text)
  if (typeof raw.thinkingMs === 'number') message.thinkingMs = raw.thinkingMs
  if (isFinish(raw.finish)) message.finish = raw.finish
  if (raw.failure !== undefined) message.failure = failureOf(record(raw.failure, `${where}.failure`), `${where}.failure`)
  if (raw.stats !== undefined) message.stats = statsOf(record(raw.stats, `${where}.stats`))
  if (raw.request !== undefined) message.request = requestOf(record(raw.request, `${where}.request`), `${where}.request`)
  // One without an end would look as if it were still being written.
  if (message.role === 'assistant') message.finish ??= 'stopped'
  return message
}

const KINDS = ['image', 'pdf', 'video', 'url'] as const

function attachmentOf(raw: Record<string, unknown>, where: string, { files, blobs }: Around): Attachment {
  const kind = KINDS.find((known) => known === raw.kind)
  if (!kind) throw wrong(`${where}.kind`)
  const made: Attachment = { id: newId(), kind, name: text(raw.name, `${where}.name`, LIMITS.name) }
  if (kind === 'url') made.url = link(raw.url, `${where}.url`)
  else if (raw.file !== undefined) made.blob = blobOf(text(raw.file, `${where}.file`, LIMITS.name), kind, where, files, blobs)
  if (raw.pages !== undefined) made.pages = text(raw.pages, `${where}.pages`, LIMITS.name)
  for (const field of ['width', 'height', 'originalBytes', 'visualTokens'] as const) {
    const value = raw[field]
    if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) made[field] = value
  }
  return made
}

function blobOf(key: string, kind: Attachment['kind'], where: string, files: Files, blobs: Map<string, Blob>): Blob {
  const file = files.get(key)
  if (!file) throw wrong(`${where}.file`)
  const type = safeType(kind, file.type)
  const name = `${key} ${type}` // the same bytes as another kind of file are another Blob
  let blob = blobs.get(name)
  if (!blob) {
    try {
      blobs.set(name, (blob = fromBase64(file.base64, type)))
    } catch {
      throw wrong(`files.${key}.base64`)
    }
  }
  return blob
}

function link(value: unknown, where: string): string {
  const url = text(value, where, 8192)
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) throw wrong(where)
  return url
}

const FINISHES: readonly FinishReason[] = ['stop', 'length', 'tool_calls', 'content_filter', 'stopped', 'error']
const isFinish = (value: unknown): value is FinishReason => FINISHES.includes(value as FinishReason)

function failureOf(raw: Record<string, unknown>, where: string): Failure {
  const failure: Failure = { code: text(raw.code, `${where}.code`, LIMITS.name), message: text(raw.message, `${where}.message`, LIMITS.text) }
  if (typeof raw.hint === 'string') failure.hint = text(raw.hint, `${where}.hint`, LIMITS.text)
  if (typeof raw.status === 'number') failure.status = raw.status
  if (typeof raw.requestId === 'string') failure.requestId = text(raw.requestId, `${where}.requestId`, LIMITS.name)
  return failure
}

const STAT_NUMBERS = ['firstTokenMs', 'totalMs', 'promptTokens', 'completionTokens', 'imageTokens', 'cachedTokens', 'tokensPerSecond'] as const

function statsOf(raw: Record<string, unknown>): RunStats {
  const stats: RunStats = numbersOf(raw, STAT_NUMBERS)
  for (const field of ['model', 'requestId'] as const) {
    const value = raw[field]
    if (typeof value === 'string') stats[field] = value.slice(0, LIMITS.name)
  }
  return stats
}

const SAMPLING_NUMBERS = ['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'presence_penalty', 'frequency_penalty', 'max_tokens', 'seed'] as const

function requestOf(raw: Record<string, unknown>, where: string): ChatRequest {
  const sampling: Sampling = numbersOf(record(raw.sampling ?? {}, `${where}.sampling`), SAMPLING_NUMBERS)
  const request: ChatRequest = { systemPrompt: text(raw.systemPrompt ?? '', `${where}.systemPrompt`, LIMITS.text), turns: [], sampling }
  if (typeof raw.model === 'string') request.model = raw.model.slice(0, LIMITS.name)
  if (typeof raw.thinking === 'boolean') request.thinking = raw.thinking
  if (isRecord(raw.responseSchema)) request.responseSchema = raw.responseSchema
  return request
}

function numbersOf<K extends string>(raw: Record<string, unknown>, names: readonly K[]): Partial<Record<K, number>> {
  const found: Partial<Record<K, number>> = {}
  for (const name of names) {
    const value = raw[name]
    if (typeof value === 'number' && Number.isFinite(value)) found[name] = value
  }
  return found
}

function wrong(where: string): ImportError {
  return new ImportError('wrong', { where })
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (!isRecord(value)) throw wrong(where)
  return value
}

function list(value: unknown, where: string, most: number): unknown[] {
  if (!Array.isArray(value)) throw wrong(where)
  if (value.length > most) throw new ImportError('tooMany', { where, limit: most })
  return value
}

function text(value: unknown, where: string, most: number): string {
  if (typeof value !== 'string') throw wrong(where)
  if (value.length > most) throw new ImportError('tooMany', { where, limit: most })
  return value
}

/** A moment that a calendar has; a later one than now would stay on top of the list for ever. */
function moment(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw wrong(where)
  return Math.min(value, Date.now())
}
