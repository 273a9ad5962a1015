import { onBeforeUnmount, onMounted } from 'vue'

/**
 * The pictures of a paste; none when there is a text too: a copied table or passage also comes as a picture of itself, and a
 * text is what its owner means to paste.
 */
function pastedFiles(data: DataTransfer): File[] {
  return data.getData('text/plain') ? [] : [...data.files]
}

/** Pictures pasted anywhere on the page, as long as no dialog is open above it. */
export function useFilePaste(take: (files: File[]) => void): void {
  function onPaste(event: ClipboardEvent): void {
    if (event.defaultPrevented || !event.clipboardData) return
    if (event.target instanceof Element && event.target.closest('[role="dialog"]')) return
    const files = pastedFiles(event.clipboardData)
    if (files.length === 0) return
    event.preventDefault()
    take(files)
  }
  onMounted(() => window.addEventListener('paste', onPaste))
  onBeforeUnmount(() => window.removeEventListener('paste', onPaste))
}
