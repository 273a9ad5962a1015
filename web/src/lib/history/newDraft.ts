/** Where the question is kept that begins a new conversation. Each tab has a place of its own, so that emptying one leaves what
 * stands in another; a tab that has just been opened goes on with what a former one left, a duplicated one with what stands in
 * its original, which keeps it. */
import { read, write } from '@/lib/stored'
import { newId } from './db'

/** Of the names of all these drafts. */
export const NEW = 'new'
const NAME = 'draft'

/** A tab that brings its key with it asks whether another has it; whoever has it says so. */
interface Question {
  key: string
  askedBy: string
  taken?: true
}

const untouched = new Map<string, string>() // made here, each with what `firstLook` tells
const movers = new Set<(key: string) => void>()
let unkept: string | null = null // where the browser keeps nothing for a tab

const known = (): string | null => unkept ?? read('tab', NAME)

function make(goesOnWith: string): string {
  const made = `${NEW} ${Date.now()} ${newId()}`
  untouched.set(made, goesOnWith)
  if (!write('tab', NAME, made)) unkept = made
  return made
}

/** The same until the tab is closed, unless it was duplicated; the younger the tab, the later in the alphabet. */
export const newDraftKey = (): string => known() ?? make(NEW)

/** Told once, for a key that was just made: the key of the draft that it goes on with; NEW: whichever was left last. */
export function firstLook(key: string): string | undefined {
  const goesOnWith = untouched.get(key)
  untouched.delete(key)
  return goesOnWith
}

/** Hears the key that is this tab's from now on, where the one that it began with is its original's. Returns how to stop. */
export function hearMove(moved: (key: string) => void): () => void {
  movers.add(moved)
  return () => movers.delete(moved)
}

// A duplicated tab begins with a copy of the session, as a reloaded one does with its own; browsers tell them apart by nothing
// else. Locks would do as well, but not at an address of the local network without TLS.
const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('flashweb-drafts')
const me = newId()
channel?.addEventListener('message', ({ data }: MessageEvent<Question>) => {
  if (data.key !== known()) return
  if (!data.taken) return channel.postMessage({ ...data, taken: true })
  if (data.askedBy !== me) return
  const key = make(data.key)
  for (const moved of movers) moved(key)
})
const brought = known()
if (brought !== null) channel?.postMessage({ key: brought, askedBy: me } satisfies Question)
