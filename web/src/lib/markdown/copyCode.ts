import { writeText } from '@/lib/clipboard'

const SHOWN_MS = 1600

/** Copies the code below a copy button and says so on the button. */
export async function copyCode(button: HTMLElement, words: { copied: string; failed: string }): Promise<void> {
  const before = button.dataset.copy || button.textContent || ''
  button.dataset.copy = before
  const copied = await writeText(button.closest('.code')?.querySelector('code')?.textContent ?? '')
  button.textContent = copied ? words.copied : words.failed
  setTimeout(() => {
    button.textContent = before
    button.dataset.copy = ''
  }, SHOWN_MS)
}
