import { describe, expect, it, vi } from 'vitest'
import type { SendKeys } from '@/stores/preferences'
import { keyAction, useComposerKeys, type Keystroke } from './useComposerKeys'

const stroke = (over: Partial<Keystroke> = {}): Keystroke => ({
  key: 'Enter', keyCode: 13, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, ...over,
})

describe('what Enter does', () => {
  it.each([
    // preset, Enter, Shift+Enter, Ctrl+Enter
    ['source', 'send', 'send', 'newline'],
    ['enter', 'send', 'newline', 'send'],
    ['ctrl-enter', 'newline', 'newline', 'send'],
  ] as const)('%s: alone %s, with Shift %s, with Ctrl %s', (preset, alone, shift, control) => {
    expect(keyAction(stroke(), preset)).toBe(alone)
    expect(keyAction(stroke({ shiftKey: true }), preset)).toBe(shift)
    expect(keyAction(stroke({ ctrlKey: true }), preset)).toBe(control)
    expect(keyAction(stroke({ metaKey: true }), preset)).toBe(control) // Command, on a Mac
  })

  it.each(['source', 'enter', 'ctrl-enter'] as SendKeys[])('%s: never sends while a word is composed', (preset) => {
    for (const over of [{}, { shiftKey: true }, { ctrlKey: true }]) {
      expect(keyAction(stroke({ isComposing: true, ...over }), preset)).toBe('default')
      expect(keyAction(stroke({ keyCode: 229, ...over }), preset)).toBe('default')
      expect(keyAction(stroke(over), preset, true)).toBe('default')
    }
  })

  it('leaves other keys alone', () => {
    expect(keyAction(stroke({ key: 'a', keyCode: 65 }), 'source')).toBe('default')
  })
})

function field(preset: SendKeys) {
  const send = vi.fn()
  const keys = useComposerKeys(() => preset, send)
  const area = document.createElement('textarea')
  document.body.append(area)
  area.addEventListener('keydown', keys.onKeydown)
  area.addEventListener('compositionstart', keys.onCompositionstart)
  area.addEventListener('compositionend', keys.onCompositionend)
  const press = (init: KeyboardEventInit, keyCode = 13) => {
    const event = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init })
    Object.defineProperty(event, 'keyCode', { value: keyCode })
    area.dispatchEvent(event)
    return event
  }
  return { send, area, press }
}

describe('the field', () => {
  it('sends once the composition has ended, not with the Enter that ends it', () => {
    const { send, area, press } = field('source')
    area.dispatchEvent(new Event('compositionstart'))
    press({})
    expect(send).not.toHaveBeenCalled()
    area.dispatchEvent(new Event('compositionend'))
    press({}, 229) // Safari: the confirming Enter comes after the end
    expect(send).not.toHaveBeenCalled()
    press({})
    expect(send).toHaveBeenCalledTimes(1)
  })

  it('breaks the line at the caret with Ctrl+Enter, which browsers do not do themselves', () => {
    const { send, area, press } = field('source')
    area.value = 'ab'
    area.setSelectionRange(1, 1)
    const input = vi.fn()
    area.addEventListener('input', input)
    press({ ctrlKey: true })
    expect(area.value).toBe('a\nb')
    expect(input).toHaveBeenCalled()
    expect(send).not.toHaveBeenCalled()
  })

  it('leaves the new line of Shift+Enter to the browser', () => {
    expect(field('enter').press({ shiftKey: true }).defaultPrevented).toBe(false)
    expect(field('enter').press({}).defaultPrevented).toBe(true)
  })
})
