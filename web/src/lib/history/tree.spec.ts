import { describe, expect, it } from 'vitest'
import { familyOf, leafWithout, mended, newestLeaf, pathTo, placeOf, subtree } from './tree'
import type { Message } from '@/types'

function message(id: string, parentId: string | null, createdAt = 0): Message {
  return { id, conversationId: 'c', parentId, role: 'user', text: id, attachments: [], createdAt }
}

/** Small and always the same for a seed, so that a failure can be looked at again. */
function dice(seed: number): (below: number) => number {
  let state = seed + 1
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648
    return Math.floor((state / 2147483648) * below)
  }
}

function randomTree(seed: number): Message[] {
  const roll = dice(seed)
  const made: Message[] = []
  for (let at = 0; at < 1 + roll(40); at++) {
    const parent = at === 0 || roll(8) === 0 ? null : made[roll(made.length)]!.id
    made.push(message(`m${at}`, parent, roll(20)))
  }
  return made
}

function mapOf(messages: Message[]): Map<string, Message> {
  return new Map(messages.map((one) => [one.id, one]))
}

const seeds = Array.from({ length: 60 }, (_, seed) => seed)

describe('the tree of messages', () => {
  it('walks every path from a beginning to the leaf, each step a child of the one before', () => {
    for (const seed of seeds) {
      const all = randomTree(seed)
      for (const leaf of all) {
        const path = pathTo(mapOf(all), leaf.id)
        expect(path[0]!.parentId).toBeNull()
        expect(path.at(-1)).toBe(leaf)
        for (let at = 1; at < path.length; at++) expect(path[at]!.parentId).toBe(path[at - 1]!.id)
      }
    }
  })

  it('counts each message once among its siblings and links them both ways', () => {
    for (const seed of seeds) {
      const all = randomTree(seed)
      const family = familyOf(all)
      expect([...family.values()].flat()).toHaveLength(all.length)
      for (const one of all) {
        const place = placeOf(family, one)
        expect(place.index).toBeLessThan(place.count)
        if (place.next) expect(placeOf(family, mapOf(all).get(place.next)!).previous).toBe(one.id)
        expect(place.previous === null).toBe(place.index === 0)
      }
    }
  })

  it('ends the newest branch at a message without children, inside the subtree', () => {
    for (const seed of seeds) {
      const all = randomTree(seed)
      const family = familyOf(all)
      for (const one of all) {
        const leaf = newestLeaf(family, one.id)!
        expect(family.get(leaf)).toBeUndefined()
        expect(subtree(family, one.id).has(leaf)).toBe(true)
      }
    }
  })

  it('leaves a sound tree and a leaf in it when a subtree is taken away', () => {
    for (const seed of seeds) {
      const all = randomTree(seed)
      const family = familyOf(all)
      for (const one of all) {
        const gone = subtree(family, one.id)
        const rest = mapOf(all.filter((other) => !gone.has(other.id)))
        for (const other of rest.values()) expect(other.parentId === null || rest.has(other.parentId)).toBe(true)
        const leaf = leafWithout(family, one)
        if (leaf !== null) expect(rest.has(leaf)).toBe(true)
      }
    }
  })

  it('prefers the sibling before, then the one after, then the parent', () => {
    const all = [message('q', null), message('a', 'q', 1), message('b', 'q', 2), message('b2', 'b', 3)]
    const family = familyOf(all)
    expect(leafWithout(family, all[2]!)).toBe('a')
    expect(leafWithout(family, all[1]!)).toBe('b2')
    expect(leafWithout(family, all[0]!)).toBeNull()
  })

  it('does not hang on cycles, and mends them', () => {
    const broken = [message('a', 'b'), message('b', 'a'), message('c', 'b'), message('d', 'nowhere'), message('d', null)]
    expect(pathTo(mapOf(broken), 'c').map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    const sound = mended(broken)
    expect(sound).toHaveLength(4)
    const roots = sound.filter(({ parentId }) => parentId === null).map(({ id }) => id)
    expect(roots).toEqual(['a', 'b', 'd'])
    for (const one of sound) expect(pathTo(mapOf(sound), one.id)[0]!.parentId).toBeNull()
  })

  it('knows no path to a message that is not there', () => {
    expect(pathTo(new Map(), 'x')).toEqual([])
    expect(pathTo(new Map(), null)).toEqual([])
    expect(newestLeaf(familyOf([]), null)).toBeNull()
  })
})
