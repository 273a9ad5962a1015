/** A long conversation in groups of a few turns: the browser leaves out a group that is off the screen as a whole, and has
 * a sixth of the things to watch. */
import type { ShownPicture } from '@/composables/pictures/useBlobUrls'
import type { Place } from '@/lib/history/tree'
import type { Message } from '@/types'

export interface Row {
  message: Message
  pictures: ShownPicture[] // what an answer is about
  place: Place
}

const LEAST = 6

/** From the beginning, so that a new turn changes the last group alone; a question and its answer stay together. */
export function grouped(rows: readonly Row[]): Row[][] {
  const groups: Row[][] = []
  for (const row of rows) {
    const last = groups[groups.length - 1]
    if (!last || (last.length >= LEAST && row.message.role === 'user')) groups.push([row])
    else last.push(row)
  }
  return groups
}
