import { afterEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { handleKey, keyNames, matches, useShortcuts, type Shortcut } from './useShortcuts'

const press = (key: string, more: KeyboardEventInit = {}) => new KeyboardEvent('keydown', { key, cancelable: true, bubbles: true, ...more })
const scopes: ReturnType<typeof effectScope>[] = []

function register(shortcut: Partial<Shortcut> & { keys: string }) {
  const run = vi.fn()
  const scope = effectScope()
  scope.run(() => useShortcuts([{ label: () => '', run, ...shortcut }]))
  scopes.push(scope)
  return { run, scope }
}

function dispatchFrom(tag: string, event: KeyboardEvent) {
  const element = document.body.appendChild(document.createElement(tag))
  element.addEventListener('keydown', handleKey)
  element.dispatchEvent(event)
  element.remove()
}

afterEach(() => scopes.splice(0).forEach((scope) => scope.stop()))

describe('shortcuts', () => {
  it('match their modifiers exactly', () => {
    expect(matches('mod+k', press('k', { ctrlKey: true }), false)).toBe(true)
    expect(matches('mod+k', press('k', { metaKey: true }), true)).toBe(true)
    expect(matches('mod+k', press('k', { ctrlKey: true }), true)).toBe(false)
    expect(matches('mod+k', press('K', { ctrlKey: true, shiftKey: true }), false)).toBe(false)
    expect(matches('mod+shift+o', press('O', { ctrlKey: true, shiftKey: true }), false)).toBe(true)
    expect(matches('k', press('k', { altKey: true }), false)).toBe(false)
  })

  it('know a sign wherever the keyboard has it', () => {
    expect(matches('?', press('?', { shiftKey: true }))).toBe(true)
    expect(matches('?', press('?'))).toBe(true)
  })

  it('run, and take the key', () => {
    const { run } = register({ keys: '?' })
    const event = press('?')
    dispatchFrom('div', event)
    expect(run).toHaveBeenCalledOnce()
    expect(event.defaultPrevented).toBe(true)
  })

  it.each(['input', 'textarea', 'select'])('leave a sign to the %s it is typed into', (tag) => {
    const plain = register({ keys: '?' })
    const wanted = register({ keys: 'escape', whileTyping: true })
    const withMod = register({ keys: 'mod+k' })
    dispatchFrom(tag, press('?'))
    dispatchFrom(tag, press('Escape'))
    dispatchFrom(tag, press('k', { ctrlKey: true }))
    expect([plain, wanted, withMod].map(({ run }) => run.mock.calls.length)).toEqual([0, 1, 1])
  })

  it('stay away while an input method composes', () => {
    const { run } = register({ keys: 'escape', whileTyping: true })
    dispatchFrom('textarea', press('Escape', { isComposing: true }))
    expect(run).not.toHaveBeenCalled()
  })

  it('prefer the newest, pass over those that do not want to, and end with their component', () => {
    const old = register({ keys: 'mod+k' })
    const unwilling = register({ keys: 'mod+k', when: () => false })
    const newest = register({ keys: 'mod+k' })
    dispatchFrom('div', press('k', { ctrlKey: true }))
    newest.scope.stop()
    dispatchFrom('div', press('k', { ctrlKey: true }))
    expect([old, unwilling, newest].map(({ run }) => run.mock.calls.length)).toEqual([1, 0, 1])
  })

  it('are named as on the keyboard', () => {
    expect(keyNames('mod+shift+l', false)).toEqual(['Ctrl', 'Shift', 'L'])
    expect(keyNames('mod+shift+l', true)).toEqual(['⌘', '⇧', 'L'])
  })
})
