import { useI18n } from 'vue-i18n'
import { useCopy } from '@/composables/useCopy'
import { useToasts } from '@/composables/useToasts'
import type { FoundBox } from '@/lib/boxes/boxes'
import { asJson, pixelsOf } from '@/lib/boxes/overlay'
import { overlayPng } from '@/lib/boxes/overlayPicture'
import { download } from '@/lib/csv'
import { reasonOf } from '@/lib/reason'
import type { Size } from '@/types'

export interface Overlay {
  name: string
  image: HTMLImageElement | null
  size: Size
  boxes: readonly FoundBox[]
  numbers: ReadonlyMap<string, number>
}

/** Saving and copying what lies on a picture, with a word about how it went. */
export function useOverlayExport() {
  const { t } = useI18n()
  const toasts = useToasts()
  const copy = useCopy()

  function lines({ boxes, size }: Pick<Overlay, 'boxes' | 'size'>, unit: string): string {
    return boxes.map((box) => `${box.label ? `${box.label} ` : ''}[${(unit === 'pixels' ? pixelsOf(box.box, size) : box.box).join(', ')}]`).join('\n')
  }

  async function save(what: string, overlay: Overlay): Promise<void> {
    const { boxes, numbers, image, size, name } = overlay
    const base = name.replace(/\.\w{1,5}$/, '') || 'picture'
    const number = (box: FoundBox) => numbers.get(box.id) ?? 0
    try {
      if (what === 'png' && image) download(`${base}-boxes.png`, await overlayPng(image, boxes.map((box) => ({ ...box, number: number(box) }))))
      else if (what === 'json') download(`${base}-boxes.json`, new Blob([JSON.stringify(asJson(boxes, { name, ...size }, number), null, 2)], { type: 'application/json' }))
      else await copy(lines(overlay, what))
    } catch (error) {
      toasts.show(t('picture.saveFailed', { reason: reasonOf(error) }), 'danger')
    }
  }

  const copyOne = (box: FoundBox, unit: string, size: Size) => copy(`[${(unit === 'pixels' ? pixelsOf(box.box, size) : box.box).join(', ')}]`)
  return { save, copyOne }
}
