/** MIME types that this page gives a Blob. Nothing that a browser would run when it is opened by itself: no HTML, no SVG. */
import type { Attachment } from '@/types'

const IMAGES = ['png', 'jpeg', 'webp', 'gif', 'bmp', 'avif', 'heic', 'heif', 'tiff'].map((name) => `image/${name}`)
const VIDEOS = ['mp4', 'quicktime', 'webm', 'x-matroska', 'x-msvideo', 'avi', 'mpeg'].map((name) => `video/${name}`)
const TYPES: Record<Attachment['kind'], readonly string[]> = {
  image: IMAGES,
  video: [...VIDEOS, 'image/gif', 'image/webp', 'image/png'],
  pdf: ['application/pdf'],
  url: [],
}

export function safeType(kind: Attachment['kind'], type: string): string {
  return TYPES[kind].includes(type) ? type : 'application/octet-stream'
}

export const isPdfFile = ({ name, type }: File): boolean => type === 'application/pdf' || /\.pdf$/i.test(name)

/** Also a link whose end says so: the server fetches it, and may need its password. */
export const isPdf = ({ kind, url }: Pick<Attachment, 'kind' | 'url'>): boolean => kind === 'pdf' || (kind === 'url' && /\.pdf$/i.test((url ?? '').split(/[?#]/, 1)[0]!))
