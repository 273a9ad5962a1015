import { afterEach, beforeEach, expect, it, vi } from 'vitest'

/** The page loaded anew. A duplicated tab begins with a copy of what its original keeps for itself. */
async function load(session: Record<string, string> = {}) {
  sessionStorage.clear()
  for (const [name, value] of Object.entries(session)) sessionStorage.setItem(name, value)
  vi.resetModules()
  const { newDraftKey, firstLook } = await import('./newDraft')
  return { key: newDraftKey, firstLook, session: () => ({ ...sessionStorage }) as Record<string, string> }
}

const channels: BroadcastChannel[] = []
const closeAll = () => channels.splice(0).forEach((channel) => channel.close())
const told = () => new Promise((done) => setTimeout(done, 50))

beforeEach(() => {
  vi.stubGlobal('BroadcastChannel', class extends BroadcastChannel {
    constructor(name: string) {
      super(name)
      channels.push(this)
    }
  })
})
afterEach(() => {
  closeAll()
  vi.unstubAllGlobals()
})

it('is kept by a reload', async () => {
  const before = await load()
  const key = before.key()
  closeAll()
  const after = await load(before.session())
  await told()
  expect(after.key()).toBe(key)
  expect(after.firstLook(key)).toBeUndefined()
})

it('becomes another in a duplicated tab, which goes on with what stands in the original', async () => {
  const original = await load()
  const key = original.key()
  const session = original.session()
  const duplicate = await load(session)
  expect(duplicate.key()).toBe(key)
  await vi.waitFor(() => expect(duplicate.key()).not.toBe(key))
  expect(duplicate.firstLook(duplicate.key())).toBe(key)
  expect(duplicate.firstLook(duplicate.key())).toBeUndefined()
  const own = duplicate.key()
  const third = await load(session)
  await vi.waitFor(() => expect([key, own]).not.toContain(third.key()))
})
