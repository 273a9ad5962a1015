/** What a request may hold. The server tells its own limits (/v1/models); until then those that it has by itself stand here. */

import type { Attachment } from '@/types'

const MIB = 1024 * 1024

export interface Limits {
  messages: number // of a conversation, the system prompt among them
  pictures: number
  clips: number
  pages: number // of documents, together
  pictureBytes: number
  clipBytes: number
  bodyBytes: number
  pixels: number // of a picture
  side: number // px that the model sees; 0: its own limit
}

export const USUAL: Limits = {
  messages: 256,
  pictures: 16,
  clips: 4,
  pages: 50,
  pictureBytes: 10 * MIB,
  clipBytes: 32 * MIB,
  bodyBytes: 64 * MIB,
  pixels: 50_000_000,
  side: 2048,
}

/** More than this is not even read: as base64 in a request it would exhaust the browser before the server could refuse. */
export const MOST_BYTES = 128 * MIB

/** A key of the words in locales/composer.ts and what they name. */
export interface Note {
  key: string
  values: Record<string, string | number>
}

const bytesOf = (list: readonly Attachment[]) => list.reduce((sum, item) => sum + (item.blob?.size ?? 0), 0)

/** `pagesOf`: the pages of a document that are asked about, where they are known. */
export function overLimits(attachments: readonly Attachment[], limits: Limits, pagesOf: (file: Attachment) => number | null = () => null): Note[] {
  const of = (...kinds: Attachment['kind'][]) => attachments.filter(({ kind }) => kinds.includes(kind))
  const notes: Note[] = []
  const count = (key: string, most: number, there: number) => there > most && notes.push({ key, values: { count: there, most } })
  count('manyPictures', limits.pictures, of('image', 'url').length)
  count('manyClips', limits.clips, of('video').length)
  count('manyPages', limits.pages, of('pdf').reduce((sum, file) => sum + (pagesOf(file) ?? 1), 0))
  for (const { kind, name, blob, width = 0, height = 0 } of attachments) {
    const most = kind === 'video' ? limits.clipBytes : limits.pictureBytes
    if (blob && blob.size > most) notes.push({ key: 'largeFile', values: { name, size: bytesText(blob.size), most: bytesText(most) } })
    if (kind === 'image' && width * height > limits.pixels) notes.push({ key: 'manyPixels', values: { name, size: megapixels(width * height), most: megapixels(limits.pixels) } })
  }
  const body = Math.ceil((bytesOf(attachments) * 4) / 3) // base64
  if (body > limits.bodyBytes) notes.push({ key: 'largeBody', values: { size: bytesText(body), most: bytesText(limits.bodyBytes) } })
  return notes
}

const megapixels = (pixels: number) => (pixels / 1e6).toFixed(pixels < 1e7 ? 1 : 0)

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < MIB) return `${(bytes / 1024).toFixed(bytes < 10 * 1024 ? 1 : 0)} KiB`
  return `${(bytes / MIB).toFixed(1)} MiB`
}
