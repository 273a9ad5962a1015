/** The tree of a conversation's messages. Pure; tolerant of gaps and cycles, which a file from elsewhere may bring. */
import type { Message } from '@/types'

export type Family = ReadonlyMap<string | null, readonly Message[]>

/** Children by parent, oldest first; those whose parent is not there count as beginnings. */
export function familyOf(messages: Iterable<Message>): Family {
  const all = [...messages]
  const ids = new Set(all.map((message) => message.id))
  const family = new Map<string | null, Message[]>()
  for (const message of all) {
    const parent = message.parentId !== null && ids.has(message.parentId) ? message.parentId : null
    const children = family.get(parent)
    if (children) children.push(message)
    else family.set(parent, [message])
  }
  for (const children of family.values()) children.sort(byAge)
  return family
}

/** Two made in the same millisecond still have one order, on every machine. */
function byAge(one: Message, other: Message): number {
  return one.createdAt - other.createdAt || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0)
}

/** From the beginning to `leafId`; empty when there is no such message. */
export function pathTo(messages: ReadonlyMap<string, Message>, leafId: string | null): Message[] {
  const path: Message[] = []
  const seen = new Set<string>()
  let at = leafId === null ? undefined : messages.get(leafId)
  while (at && !seen.has(at.id)) {
    seen.add(at.id)
    path.push(at)
    at = at.parentId === null ? undefined : messages.get(at.parentId)
  }
  return path.reverse()
}

/** The end of the newest branch below `id`, or of all when null. */
export function newestLeaf(family: Family, id: string | null): string | null {
  const seen = new Set<string | null>()
  let at = id
  for (;;) {
    if (seen.has(at)) return at
    seen.add(at)
    const children = family.get(at)
    const newest = children?.[children.length - 1]
    if (!newest) return at
    at = newest.id
  }
}

export interface Place {
  index: number // from 0
  count: number
  previous: string | null
  next: string | null
}

export const ALONE: Place = { index: 0, count: 1, previous: null, next: null }

/** Where a message stands among its siblings. */
export function placeOf(family: Family, message: Message): Place {
  const own = family.get(message.parentId)
  const siblings = own?.includes(message) ? own : (family.get(null) ?? [])
  const index = Math.max(
    siblings.findIndex((sibling) => sibling.id === message.id),
    0,
  )
  return {
    index,
    count: Math.max(siblings.length, 1),
    previous: siblings[index - 1]?.id ?? null,
    next: siblings[index + 1]?.id ?? null,
  }
}

/** `id` and everything below it. */
export function subtree(family: Family, id: string): Set<string> {
  const found = new Set<string>()
  const open = [id]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (found.has(at)) continue
    found.add(at)
    for (const child of family.get(at) ?? []) open.push(child.id)
  }
  return found
}

/** The leaf to show once `id` and what is below it are gone: the nearest sibling's newest branch, else the parent. */
export function leafWithout(family: Family, message: Message): string | null {
  const { previous, next } = placeOf(family, message)
  const neighbour = previous ?? next
  return neighbour === null ? message.parentId : newestLeaf(family, neighbour)
}

/** Messages of a file as a sound tree: each once, no cycles, no parent that is not there. */
export function mended(messages: readonly Message[]): Message[] {
  const byId = new Map<string, Message>()
  for (const message of messages) if (!byId.has(message.id)) byId.set(message.id, message)
  const sound = new Map<string, Message>()
  for (const message of byId.values()) {
    const dangling = message.parentId !== null && !byId.has(message.parentId)
    sound.set(message.id, dangling || isInCycle(byId, message) ? { ...message, parentId: null } : message)
  }
  return [...sound.values()]
}

function isInCycle(byId: ReadonlyMap<string, Message>, message: Message): boolean {
  const seen = new Set<string>()
  let at: Message | undefined = message
  while (at && at.parentId !== null && !seen.has(at.id)) {
    seen.add(at.id)
    at = byId.get(at.parentId)
    if (at?.id === message.id) return true
  }
  return false
}
