/** Small pictures of large ones. Decoding a photo takes tens of megabytes for a moment: two at a time, and let go at once. */

const LANES = 2
let free = LANES
const waiting: (() => void)[] = []

/** An address for `<img>` of about `side` pixels, to be given back by its owner; null for what the browser cannot draw. */
export async function thumbnail(file: Blob, side: number, wanted: () => boolean): Promise<string | null> {
  await turn()
  try {
    return wanted() ? await small(file, side) : null
  } catch {
    return null // HEIC, PDF, or no picture at all: the server says more
  } finally {
    free++
    waiting.shift()?.()
  }
}

async function turn(): Promise<void> {
  while (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
  free--
}

async function small(file: Blob, side: number): Promise<string> {
  const bitmap = await createImageBitmap(file, { resizeWidth: side, resizeQuality: 'medium' })
  try {
    const canvas = document.createElement('canvas')
    canvas.width = side
    canvas.height = Math.max(1, Math.min(bitmap.height, side * 2))
    canvas.getContext('2d')?.drawImage(bitmap, 0, 0)
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(URL.createObjectURL(blob)) : reject(new Error('no bytes'))), 'image/jpeg', 0.8))
  } finally {
    bitmap.close()
  }
}
