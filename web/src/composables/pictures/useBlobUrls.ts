/** Addresses of Blobs for <img>, given back to the browser when the component goes. An address holds no bytes: what is no
 * longer shown costs nothing until then. */
import { onScopeDispose } from 'vue'
import type { Attachment } from '@/types'

export function useBlobUrls(): (blob: Blob) => string {
  const urls = new Map<Blob, string>()
  onScopeDispose(() => urls.forEach((url) => URL.revokeObjectURL(url)))
  return (blob) => {
    let url = urls.get(blob)
    if (url === undefined) urls.set(blob, (url = URL.createObjectURL(blob)))
    return url
  }
}

/** A picture as PicturePane takes it. */
export interface ShownPicture {
  id: string
  src: string
  name: string
}

/** The pictures among attachments. The same list of attachments gives the same list, so that nothing is drawn anew for it. */
export function useShownPictures(): (attachments: readonly Attachment[]) => ShownPicture[] {
  const urlOf = useBlobUrls()
  const known = new WeakMap<readonly Attachment[], ShownPicture[]>()
  return (attachments) => {
    let shown = known.get(attachments)
    if (!shown) {
      shown = attachments.flatMap(({ id, kind, blob, name }) => (kind === 'image' && blob ? [{ id, name, src: urlOf(blob) }] : []))
      known.set(attachments, shown)
    }
    return shown
  }
}
