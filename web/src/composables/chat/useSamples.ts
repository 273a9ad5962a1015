/** Sample pictures with a question each, for whoever is here for the first time. */
import { onMounted, onScopeDispose, shallowRef, watch } from 'vue'
import { sampleNames, samplePicture } from '@/api/samples'
import { newId } from '@/lib/history/db'
import type { Attachment } from '@/types'

/** Which questions the bundled model answers well; `words` are keys below chat.first. */
const KNOWN = [
  { file: 'worksheet.png', words: 'marking' },
  { file: 'receipt.png', words: 'amounts' },
  { file: 'label.png', words: 'date' },
  { file: 'poster.png', words: 'brand' },
] as const

export interface Sample {
  file: string
  words: (typeof KNOWN)[number]['words']
  blob: Blob
  width: number
  height: number
}

/** `wanted`: when it changes (the server is there, a key is given), they are looked for again. */
export function useSamples(wanted: () => unknown = () => true) {
  const samples = shallowRef<Sample[]>([])
  let gone = false
  onScopeDispose(() => (gone = true))

  // Without a server, or without its key, there are no samples; the page says elsewhere what is missing.
  let filling = false
  async function fill(): Promise<void> {
    if (filling || samples.value.length > 0) return
    filling = true
    const offered = await sampleNames().catch((): string[] => [])
    for (const known of KNOWN.filter(({ file }) => offered.includes(file))) {
      const sample = await load(known).catch(() => null)
      if (gone) return
      if (sample) samples.value = [...samples.value, sample]
    }
    filling = false
  }
  onMounted(fill)
  watch(wanted, fill)

  return { samples }
}

async function load(known: (typeof KNOWN)[number]): Promise<Sample> {
  const blob = await samplePicture(known.file)
  const bitmap = await createImageBitmap(blob) // throws for what is no picture
  const { width, height } = bitmap
  bitmap.close()
  return { ...known, blob, width, height }
}

export function asAttachment({ file, blob, width, height }: Sample): Attachment {
  return { id: newId(), kind: 'image', name: file, blob, width, height }
}
