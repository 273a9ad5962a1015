import type { IconName } from '@/components/ui'
import type { Attachment } from '@/types'

export interface TileItem {
  id: 'edit' | 'rotate' | 'clip' | 'still' | 'password' | 'replace' | 'left' | 'right' | 'remove'
  icon: IconName
  danger?: boolean
}

/** What can be done with an attachment. */
export function tileItems(of: { kind: Attachment['kind']; editable: boolean; moving: boolean; index: number; count: number }): TileItem[] {
  const items: TileItem[] = []
  if (of.editable) items.push({ id: 'edit', icon: 'crop' }, { id: 'rotate', icon: 'rotate' })
  if (of.moving) items.push(of.kind === 'video' ? { id: 'still', icon: 'image' } : { id: 'clip', icon: 'play' })
  if (of.kind === 'pdf') items.push({ id: 'password', icon: 'lock' })
  if (of.kind !== 'url') items.push({ id: 'replace', icon: 'refresh' })
  if (of.index > 0) items.push({ id: 'left', icon: 'chevron-left' })
  if (of.index < of.count - 1) items.push({ id: 'right', icon: 'chevron-right' })
  return [...items, { id: 'remove', icon: 'trash', danger: true }]
}
