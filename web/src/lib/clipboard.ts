/** Puts text on the clipboard. Without https there is no clipboard API: a browser then still copies what is selected. */
export async function writeText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copySelected(text)
  }
}

function copySelected(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.readOnly = true
  Object.assign(area.style, { position: 'fixed', opacity: '0' })
  const before = document.activeElement
  const place = before?.closest('[role="dialog"]') ?? document.body // a dialog keeps the focus inside it
  place.append(area)
  area.focus()
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  if (before instanceof HTMLElement) before.focus()
  return copied
}
