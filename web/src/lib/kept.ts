/** Small things that this browser keeps. What cannot be kept (private windows, a full store) works until the page is left. */

const PREFIX = 'flashweb.scene.'

export function kept<T>(key: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(PREFIX + key)
    return text === null ? otherwise : (JSON.parse(text) as T)
  } catch {
    return otherwise
  }
}

/** False when the browser refused. Undefined forgets. */
export function keep(key: string, value: unknown): boolean {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + key)
    else localStorage.setItem(PREFIX + key, JSON.stringify(value))
    return true
  } catch {
    return false
  }
}

/** A file's name for itself: the same picture chosen tomorrow finds what was decided about it today. */
export const keyOfFile = (scene: string, file: File) => `review.${scene}.${file.name}.${file.size}.${file.lastModified}`
