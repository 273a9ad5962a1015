/** Small things that this browser keeps. What cannot be kept (private windows, policies, a full store) works until the page is
 * left. Their names all begin alike, that "delete everything" finds them. */
export const PREFIX = 'flashweb.'

export type Place = 'tab' | 'browser'

/** Where storage is forbidden, the mere look at it throws. */
function storageOf(place: Place): Storage | null {
  try {
    return place === 'tab' ? sessionStorage : localStorage
  } catch {
    return null
  }
}

export function read(place: Place, name: string): string | null {
  return storageOf(place)?.getItem(PREFIX + name) ?? null
}

/** Null forgets. False when the browser refuses. */
export function write(place: Place, name: string, value: string | null): boolean {
  const storage = storageOf(place)
  try {
    if (value === null) storage?.removeItem(PREFIX + name)
    else storage?.setItem(PREFIX + name, value)
    return storage !== null
  } catch {
    return false
  }
}

export function readJson(place: Place, name: string): unknown {
  try {
    return JSON.parse(read(place, name) ?? 'null')
  } catch {
    return null
  }
}
