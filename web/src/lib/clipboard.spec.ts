import { afterEach, expect, it, vi } from 'vitest'
import { writeText } from './clipboard'

const { execCommand } = document
afterEach(() => {
  document.execCommand = execCommand
  document.body.replaceChildren()
  vi.unstubAllGlobals()
})

it('text is copied inside the dialog that is open, which would else take the selection back', async () => {
  vi.stubGlobal('navigator', { clipboard: undefined }) // a page without https
  document.body.innerHTML = '<div role="dialog"><button>Copy</button></div>'
  const dialog = document.querySelector('[role=dialog]')!
  dialog.querySelector('button')!.focus()
  const copied: string[] = []
  document.execCommand = () => {
    const area = document.activeElement as HTMLTextAreaElement
    copied.push(dialog.contains(area) ? area.value : 'outside')
    return true
  }
  expect(await writeText('req_1')).toBe(true)
  expect(copied).toEqual(['req_1'])
  expect(dialog.querySelector('textarea')).toBeNull()
  expect(document.activeElement?.textContent).toBe('Copy')
})
