/** Where the question is kept that begins a new conversation. Each tab has a place of its own, so that emptying one leaves what
 * stands in another; a tab that has just been opened goes on with what a former one left. */
import { read, write } from '@/lib/stored'
import { newId } from './db'

/** Of the names of all these drafts. */
export const NEW = 'new'
const NAME = 'draft'

const untouched = new Set<string>()
let unkept: string | null = null // where the browser keeps nothing for a tab

/** The same until the tab is closed; the younger the tab, the later in the alphabet. */
export function newDraftKey(): string {
  const known = read('tab', NAME) ?? unkept
  if (known !== null) return known
  const made = `${NEW} ${Date.now()} ${newId()}`
  untouched.add(made)
  if (!write('tab', NAME, made)) unkept = made
  return made
}

/** True once, for the key of a tab that has just been opened. */
export const isFirstLook = (key: string): boolean => untouched.delete(key)
