/**
 * The server's usual limits (docs/settings.md). An operator may have set others, which the page cannot know: going over one
 * of these is said before sending, but the server decides.
 */

import type { Attachment } from '@/types'

const MIB = 1024 * 1024

export const LIMITS = {
  pictures: 16,
  clips: 4,
  pages: 50,
  pictureBytes: 10 * MIB,
  clipBytes: 32 * MIB,
  bodyBytes: 64 * MIB,
  pixels: 50_000_000,
  ratio: 200,
}

/** More than this is not even read: as base64 in a request it would exhaust the browser before the server could refuse. */
export const MOST_BYTES = 128 * MIB

/** A key of the words in locales/composer.ts and what they name. */
export interface Note {
  key: string
  values: Record<string, string | number>
}

const bytesOf = (list: readonly Attachment[]) => list.reduce((sum, item) => sum + (item.blob?.size ?? 0), 0)

export function overLimits(attachments: readonly Attachment[]): Note[] {
  const of = (...kinds: Attachment['kind'][]) => attachments.filter(({ kind }) => kinds.includes(kind))
  const notes: Note[] = []
  const pictures = of('image', 'url').length
  if (pictures > LIMITS.pictures) notes.push({ key: 'manyPictures', values: { count: pictures, most: LIMITS.pictures } })
  const clips = of('video').length
  if (clips > LIMITS.clips) notes.push({ key: 'manyClips', values: { count: clips, most: LIMITS.clips } })
  for (const { kind, name, blob } of attachments) {
    const most = kind === 'video' ? LIMITS.clipBytes : LIMITS.pictureBytes
    if (blob && blob.size > most) notes.push({ key: 'largeFile', values: { name, size: bytesText(blob.size), most: bytesText(most) } })
  }
  const body = Math.ceil((bytesOf(attachments) * 4) / 3) // base64
  if (body > LIMITS.bodyBytes) notes.push({ key: 'largeBody', values: { size: bytesText(body), most: bytesText(LIMITS.bodyBytes) } })
  return notes
}

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < MIB) return `${(bytes / 1024).toFixed(bytes < 10 * 1024 ? 1 : 0)} KiB`
  return `${(bytes / MIB).toFixed(1)} MiB`
}
