import { computed, onScopeDispose, shallowReactive } from 'vue'

export interface Shortcut {
  /** Parts joined by `+`: `mod` (Ctrl, on Apple's keyboards Command), `ctrl`, `alt`, `shift`, then the key: `mod+k`, `?`, `escape`. */
  keys: string
  /** What it does, in the page's language; a function, because the language may change. */
  label: () => string
  run: (event: KeyboardEvent) => void
  /** Not now: the key goes on to whoever else wants it. */
  when?: () => boolean
  /** Also while something is typed. With `mod` that is so anyway, without it only when asked for. */
  whileTyping?: boolean
}

const registered = shallowReactive(new Set<Shortcut>())
const isApple = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? '')

/** Adds shortcuts for as long as the component lives. They stand on the help sheet by themselves. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  for (const shortcut of shortcuts) registered.add(shortcut)
  onScopeDispose(() => {
    for (const shortcut of shortcuts) registered.delete(shortcut)
  })
}

/** All there are now, for the help sheet. */
export const useShortcutList = () => computed(() => [...registered])

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true
  return target instanceof HTMLInputElement && !['checkbox', 'radio', 'range', 'button', 'submit', 'file'].includes(target.type)
}

export function matches(keys: string, event: KeyboardEvent, apple = isApple): boolean {
  const parts = keys.toLowerCase().split('+')
  const key = parts.pop()
  const wants = (name: string) => parts.includes(name)
  const mod = wants('mod')
  if (event.ctrlKey !== (wants('ctrl') || (mod && !apple))) return false
  if (event.metaKey !== (mod && apple)) return false
  if (event.altKey !== wants('alt')) return false
  // `?` is Shift and another key on most keyboards: for signs the sign alone counts.
  const isSign = key !== undefined && key.length === 1 && !/[a-z0-9]/.test(key)
  if (!isSign && event.shiftKey !== wants('shift')) return false
  return event.key.toLowerCase() === key
}

/** Runs the last registered shortcut that fits; the newest component is the nearest to the user. */
export function handleKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return // 229: an input method is at work
  const typing = isTyping(event.target)
  const inDialog = event.target instanceof Element && event.target.closest('[role="dialog"], [role="menu"]') !== null
  if (inDialog) return // dialogs have keys of their own
  const fitting = [...registered].reverse().find((shortcut) => {
    if (!matches(shortcut.keys, event) || shortcut.when?.() === false) return false
    return !typing || shortcut.whileTyping || shortcut.keys.includes('mod+')
  })
  if (!fitting) return
  event.preventDefault()
  fitting.run(event)
}

/** Listens; for the root of the page. */
export function useShortcutKeys(): void {
  addEventListener('keydown', handleKey)
  onScopeDispose(() => removeEventListener('keydown', handleKey))
}

const APPLE_SIGNS: Record<string, string> = { mod: '⌘', ctrl: '⌃', alt: '⌥', shift: '⇧' }
const NAMES: Record<string, string> = { mod: 'Ctrl', ctrl: 'Ctrl', alt: 'Alt', shift: 'Shift', escape: 'Esc', enter: 'Enter' }

/** The keys as they are printed on the keyboard. */
export function keyNames(keys: string, apple = isApple): string[] {
  return keys
    .toLowerCase()
    .split('+')
    .map((part) => (apple ? APPLE_SIGNS[part] : undefined) ?? NAMES[part] ?? part.toUpperCase())
}
