/** A file as the user gave it becomes an attachment, or a note that says why it cannot. */

import { bytesText, MOST_BYTES, type Note } from '@/lib/limits'
import type { Attachment, Size } from '@/types'
import { prepare, Undrawable, UNTOUCHED, type Edit, type Wishes } from './image'
import { pageSize, readPdf, type PdfFacts } from './pdf'
import { CLIPS, isAnimated, kindOf, MIME, SENT_AS_IS, type FileKind } from './sniff'
import { LONGEST_RATIO } from './visualTokens'

/** What is known of an attachment in this tab only: enough to undo an edit, and to crop from all pixels of a large photo. */
export interface Detail {
  original: Blob
  kind: FileKind
  edit: Edit
  animated: boolean
  pdf?: PdfFacts
}

export interface Taken {
  attachment: Attachment
  detail: Detail
}

export class Refused extends Error {
  constructor(readonly note: Note) {
    super(note.key)
  }
}

const refuse = (key: string, values: Note['values']): never => {
  throw new Refused({ key, values })
}

const typed = (blob: Blob, kind: FileKind) => {
  const type = MIME[kind]
  return !type || blob.type === type ? blob : blob.slice(0, blob.size, type)
}

/** Throws Refused, with the reason, for what no model could look at. */
export async function take(file: Blob, name: string, wishes: Wishes): Promise<Taken> {
  if (file.size === 0) refuse('emptyFile', { name })
  if (file.size > MOST_BYTES) refuse('hugeFile', { name, size: bytesText(file.size), most: bytesText(MOST_BYTES) })
  const kind = await kindOf(file).catch(() => refuse('unreadable', { name })) // such as a folder, or a file that was moved
  if (kind === 'text') refuse('textFile', { name })
  if (kind === 'unknown') refuse('unknownFile', { name })
  const detail: Detail = { original: typed(file, kind), kind, edit: UNTOUCHED, animated: await isAnimated(file, kind) }
  const base = { id: crypto.randomUUID?.() ?? fallbackId(), name, originalBytes: file.size }
  if (kind === 'pdf') return takePdf(base, detail, wishes)
  if (CLIPS.includes(kind) || (kind === 'gif' && detail.animated)) return { attachment: { ...base, kind: 'video', blob: detail.original }, detail }
  return { attachment: await picture({ ...base, kind: 'image' }, detail, wishes), detail }
}

/** `crypto.randomUUID` exists in secure contexts only; a page at a plain address in a local network is none. */
function fallbackId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The picture of a detail, drawn as its edit says. */
export async function picture(attachment: Attachment, detail: Detail, wishes: Wishes): Promise<Attachment> {
  const { name } = attachment
  try {
    const { blob, width, height, tokens } = await prepare(detail.original, detail.kind, detail.edit, wishes)
    if (tooNarrow({ width, height })) refuse('tooNarrow', { name, width, height, most: LONGEST_RATIO })
    return { ...attachment, kind: 'image', blob, width, height, visualTokens: tokens, originalBytes: detail.original.size }
  } catch (error) {
    if (!(error instanceof Undrawable)) throw error
    if (detail.kind === 'heic' || detail.kind === 'avif') return asItIs(attachment, detail)
    return refuse(SENT_AS_IS.includes(detail.kind) ? 'damaged' : 'noDecoder', { name, format: detail.kind.toUpperCase() })
  }
}

/** The server reads formats that this browser cannot show. */
function asItIs(attachment: Attachment, detail: Detail): Attachment {
  const { width: _width, height: _height, visualTokens: _tokens, ...rest } = attachment
  return { ...rest, kind: 'image', blob: detail.original }
}

const tooNarrow = ({ width, height }: Size) => Math.max(width, height) / Math.min(width, height) > LONGEST_RATIO

async function takePdf(base: Omit<Attachment, 'kind'>, detail: Detail, wishes: Wishes): Promise<Taken> {
  const pdf = await readPdf(detail.original)
  const visualTokens = await wishes.tokensOf(pageSize(pdf))
  return { attachment: { ...base, kind: 'pdf', blob: detail.original, visualTokens }, detail: { ...detail, pdf } }
}

/** Of an attachment that comes from storage: what was sent is then all there is. */
export async function detailOf(attachment: Attachment): Promise<Detail | null> {
  if (!attachment.blob) return null
  const kind = await kindOf(attachment.blob)
  const detail: Detail = { original: attachment.blob, kind, edit: UNTOUCHED, animated: await isAnimated(attachment.blob, kind) }
  return kind === 'pdf' ? { ...detail, pdf: await readPdf(attachment.blob) } : detail
}
