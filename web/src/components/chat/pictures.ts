import type { Attachment } from '@/types'

/** A picture as PicturePane takes it. */
export interface ShownPicture {
  id: string
  src: string
  name: string
}

/** The same attachments give the same list, so that nothing is drawn anew for it. */
export function shownPictures(urlOf: (blob: Blob) => string): (attachments: readonly Attachment[]) => ShownPicture[] {
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
