/** What a file is, by its first bytes: names and MIME types lie, and the server also looks at the bytes alone. */

export type FileKind =
  | 'png' | 'jpeg' | 'webp' | 'gif' | 'bmp' | 'avif' | 'heic' | 'tiff' | 'svg'
  | 'pdf' | 'mp4' | 'webm' | 'avi'
  | 'text' | 'unknown'

export const CLIPS: readonly FileKind[] = ['mp4', 'webm', 'avi']
/** Pictures that the server reads as they are. */
export const SENT_AS_IS: readonly FileKind[] = ['png', 'jpeg', 'webp', 'gif', 'bmp', 'avif', 'heic']

export const MIME: Partial<Record<FileKind, string>> = {
  png: 'image/png', jpeg: 'image/jpeg', webp: 'image/webp', gif: 'image/gif', bmp: 'image/bmp', avif: 'image/avif',
  heic: 'image/heic', tiff: 'image/tiff', svg: 'image/svg+xml', pdf: 'application/pdf', mp4: 'video/mp4',
  webm: 'video/webm', avi: 'video/x-msvideo',
}

const HEIC_BRANDS = ['heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'mif1', 'msf1']
const ENOUGH = 4096

const ascii = (bytes: Uint8Array, from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to))

function ofFtyp(bytes: Uint8Array): FileKind {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
  const brands: string[] = []
  for (let at = 8; at + 4 <= Math.min(length, bytes.length); at += at === 8 ? 8 : 4) brands.push(ascii(bytes, at, at + 4))
  // An AVIF may also name the brand of its container (mif1), which HEIC shares.
  if (brands.some((brand) => brand === 'avif' || brand === 'avis')) return 'avif'
  if (brands.some((brand) => HEIC_BRANDS.includes(brand))) return 'heic'
  return 'mp4'
}

export function kindOfBytes(bytes: Uint8Array): FileKind {
  if (bytes.length < 2) return 'unknown'
  const head = ascii(bytes, 0, Math.min(bytes.length, 1024))
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'png'
  if (head.startsWith('\xff\xd8\xff')) return 'jpeg'
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'gif'
  if (head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP') return 'webp'
  if (head.startsWith('RIFF') && head.slice(8, 11) === 'AVI') return 'avi'
  if (head.startsWith('BM') && bytes.length >= 26) return 'bmp'
  if (head.startsWith('II*\0') || head.startsWith('MM\0*')) return 'tiff'
  if (head.includes('%PDF-')) return 'pdf' // readers allow a little before it
  if (bytes.length >= 12 && head.slice(4, 8) === 'ftyp') return ofFtyp(bytes)
  if (['moov', 'mdat', 'wide', 'free'].includes(head.slice(4, 8))) return 'mp4' // old QuickTime
  if (head.startsWith('\x1a\x45\xdf\xa3')) return 'webm'
  const start = head.replace(/^\xef\xbb\xbf/, '').trimStart()
  if (/^(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/i.test(start)) return 'svg'
  return looksLikeText(bytes) ? 'text' : 'unknown'
}

function looksLikeText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}

export async function kindOf(blob: Blob): Promise<FileKind> {
  return kindOfBytes(new Uint8Array(await blob.slice(0, ENOUGH).arrayBuffer()))
}

/** Does a GIF, WebP or PNG move? Then it can be sent as a clip as well as by its first frame. */
export async function isAnimated(blob: Blob, kind: FileKind): Promise<boolean> {
  if (kind !== 'gif' && kind !== 'webp' && kind !== 'png') return false
  const bytes = new Uint8Array(await blob.arrayBuffer())
  if (kind === 'gif') return gifFrames(bytes) > 1
  const head = ascii(bytes, 0, Math.min(bytes.length, ENOUGH))
  return kind === 'webp' ? head.slice(12, 16) === 'VP8X' && (bytes[20]! & 2) !== 0 : head.slice(0, head.indexOf('IDAT')).includes('acTL')
}

/** Frames of a GIF, two at most: its blocks are walked, since the byte of a frame also occurs inside pixels. */
export function gifFrames(bytes: Uint8Array): number {
  const table = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0)
  let at = 13 + table(bytes[10] ?? 0)
  let frames = 0
  const skipBlocks = () => {
    while (at < bytes.length && bytes[at] !== 0) at += bytes[at]! + 1
    at += 1
  }
  while (at < bytes.length && frames < 2) {
    const mark = bytes[at]
    if (mark === 0x21) {
      at += 2
      skipBlocks()
    } else if (mark === 0x2c) {
      frames += 1
      at += 10 + table(bytes[at + 9] ?? 0) + 1
      skipBlocks()
    } else break
  }
  return frames
}
