import { onBeforeUnmount, onMounted, readonly, ref } from 'vue'

/** Tiles that are being reordered are no files; their drag carries this type. */
export const TILE_TYPE = 'application/x-flashweb-tile'

const carries = (event: DragEvent) => {
  const types = event.dataTransfer?.types ?? []
  return !types.includes(TILE_TYPE) && (types.includes('Files') || types.includes('text/uri-list'))
}

/** The files of a drop, or else the address of a picture that was dragged from another page. */
export function dropped(data: DataTransfer): { files: File[]; url: string | null } {
  const files = [...data.files]
  const url = data.getData('text/uri-list').split(/\r?\n/).find((line) => /^https?:/i.test(line)) ?? null
  return { files, url: files.length > 0 ? null : url }
}

/** Takes what is dropped anywhere in the window, or on `zone` alone when it is given. */
export function useFileDrop(take: (files: File[], url: string | null) => void, zone?: () => HTMLElement | null) {
  const over = ref(false)
  let depth = 0 // dragenter and dragleave come for every element inside
  const reset = () => {
    depth = 0
    over.value = false
  }
  const inside = (event: DragEvent) => !zone || (event.target instanceof Node && zone()?.contains(event.target))

  function onEnter(event: DragEvent): void {
    if (!carries(event) || !inside(event)) return
    depth += 1
    over.value = true
  }
  function onLeave(event: DragEvent): void {
    if (over.value && inside(event) && --depth <= 0) reset()
  }
  function onOver(event: DragEvent): void {
    if (!carries(event)) return
    event.preventDefault() // beside the zone too, where the browser would open the file instead of the page
    if (event.dataTransfer) event.dataTransfer.dropEffect = inside(event) ? 'copy' : 'none'
  }
  function onDrop(event: DragEvent): void {
    if (!carries(event)) return
    event.preventDefault()
    const wanted = inside(event) && event.dataTransfer
    reset()
    if (!wanted) return
    const { files, url } = dropped(wanted)
    if (files.length > 0 || url) take(files, url)
  }

  const listeners = { dragenter: onEnter, dragleave: onLeave, dragover: onOver, drop: onDrop } as const
  type Name = keyof typeof listeners
  onMounted(() => Object.entries(listeners).forEach(([name, listener]) => window.addEventListener(name as Name, listener)))
  onBeforeUnmount(() => Object.entries(listeners).forEach(([name, listener]) => window.removeEventListener(name as Name, listener)))
  return { over: readonly(over) }
}
