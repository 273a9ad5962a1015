/** What Enter does in the question's field. */
import type { SendKeys } from '@/stores/preferences'

type KeyAction = 'send' | 'newline' | 'default'

/** The part of a KeyboardEvent that decides. */
export type Keystroke = Pick<KeyboardEvent, 'key' | 'keyCode' | 'shiftKey' | 'ctrlKey' | 'metaKey' | 'altKey' | 'isComposing'>

/**
 * `composing` is the composition as this field saw it: Safari ends it before the Enter that confirmed a word arrives, and tells
 * of it only by key code 229.
 */
export function keyAction(stroke: Keystroke, preset: SendKeys, composing = false): KeyAction {
  if (stroke.key !== 'Enter' || stroke.isComposing || composing || stroke.keyCode === 229 || stroke.altKey) return 'default'
  const control = stroke.ctrlKey || stroke.metaKey
  switch (preset) {
    case 'source':
      return control ? 'newline' : 'send'
    case 'enter':
      return stroke.shiftKey ? 'newline' : 'send'
    case 'ctrl-enter':
      return control ? 'send' : 'newline'
  }
}

interface ComposerKeys {
  onKeydown(event: KeyboardEvent): void
  onCompositionstart(): void
  onCompositionend(): void
}

export function useComposerKeys(preset: () => SendKeys, send: () => void): ComposerKeys {
  let composing = false
  return {
    onCompositionstart: () => (composing = true),
    onCompositionend: () => (composing = false),
    onKeydown(event) {
      const action = keyAction(event, preset(), composing)
      if (action === 'default') return
      // Without a modifier, or with Shift alone, a field makes the new line itself, and its undo history stays whole.
      if (action === 'newline' && !event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      if (action === 'send') send()
      else insertAtCaret(event.target as HTMLTextAreaElement, '\n')
    },
  }
}

/** Types a text into a field, so that undo knows of it where the browser offers that. */
function insertAtCaret(field: HTMLTextAreaElement, text: string): void {
  field.focus()
  if (typeof document.execCommand === 'function' && document.execCommand('insertText', false, text)) return
  field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end')
  field.dispatchEvent(new Event('input', { bubbles: true }))
}
