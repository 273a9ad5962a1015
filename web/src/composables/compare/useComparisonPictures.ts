/** Addresses of several pictures for the pane that shows them, given back when they change or nobody looks any more. */

import { onScopeDispose, shallowRef, watch } from 'vue'
import type { Attachment } from '@/types'

export interface ShownPicture {
  id: string
  src: string
  name: string
}

export function useComparisonPictures(attachments: () => readonly Attachment[]) {
  const shown = shallowRef<ShownPicture[]>([])
  const release = () => shown.value.forEach(({ src }) => URL.revokeObjectURL(src))
  watch(
    attachments,
    (now) => {
      release()
      shown.value = now.flatMap(({ id, name, kind, blob }) => (kind === 'image' && blob ? [{ id, name, src: URL.createObjectURL(blob) }] : []))
    },
    { immediate: true },
  )
  onScopeDispose(release)
  return shown
}
