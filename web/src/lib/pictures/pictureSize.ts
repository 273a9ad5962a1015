/** Pictures made smaller for a comparison: always to the size asked for, also where the file gets no smaller by it. */

import type { Attachment } from '@/types'
import { decode, typeToSend } from './image'
import { kindOf } from './sniff'
import { withinSide } from './visualTokens'

const SIZES = { whole: 0, s1344: 1344, s896: 896, s448: 448 } as const
export type PictureSize = keyof typeof SIZES
export const sizeNames = Object.keys(SIZES) as PictureSize[]

async function drawn(file: Attachment, blob: Blob, maxSide: number): Promise<Attachment> {
  const kind = await kindOf(blob)
  const picture = await decode(blob, kind)
  try {
    const size = withinSide(picture.size, maxSide)
    if (size.width === picture.size.width && size.height === picture.size.height) return file
    const canvas = document.createElement('canvas')
    Object.assign(canvas, size)
    const context = canvas.getContext('2d')
    if (!context) throw new Error('no canvas')
    context.imageSmoothingQuality = 'high'
    context.drawImage(picture.source, 0, 0, size.width, size.height)
    const made = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, typeToSend(kind), 0.92))
    if (!made) throw new Error('no blob')
    return { ...file, blob: made, ...size, visualTokens: undefined }
  } finally {
    picture.close()
  }
}

const made = new WeakMap<Blob, Map<number, Promise<Attachment>>>()

/** Throws where this browser cannot draw the picture. Anything but pictures is passed on as it is. */
export function atSize(file: Attachment, size: PictureSize): Promise<Attachment> {
  const { blob } = file
  const maxSide = SIZES[size]
  if (file.kind !== 'image' || !blob || maxSide === 0) return Promise.resolve(file)
  const known = made.get(blob) ?? new Map<number, Promise<Attachment>>()
  made.set(blob, known)
  const work = known.get(maxSide) ?? drawn(file, blob, maxSide)
  known.set(maxSide, work)
  return work
}
