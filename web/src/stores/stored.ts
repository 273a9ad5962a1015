/** Names under which this page keeps things all begin so, that "delete everything" finds them. */
export const PREFIX = 'flashweb.'

export type Place = 'tab' | 'browser'

/** Storage can be forbidden (private windows, policies): then nothing is kept, and nothing breaks. */
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

export function write(place: Place, name: string, value: string | null): void {
  try {
    if (value === null) storageOf(place)?.removeItem(PREFIX + name)
    else storageOf(place)?.setItem(PREFIX + name, value)
  } catch {
    // full or forbidden: the value holds until the page is closed
  }
}

export function readJson(place: Place, name: string): unknown {
  try {
    return JSON.parse(read(place, name) ?? 'null')
  } catch {
    return null
  }
}
