// @vitest-environment node
import 'fake-indexeddb/auto'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { SOON } from '@/fixtures/waiting'
import { History, newId, PageDatabase } from '@/lib/history/db'
import type { Message, Role } from '@/types'
import { useConversations } from './conversations'

let store: ReturnType<typeof useConversations>

beforeEach(async () => {
  const db = new PageDatabase()
  await Promise.all(db.tables.map((table) => table.clear()))
  setActivePinia(createPinia())
  store = useConversations()
  await store.load()
})

let at = 0
function message(parentId: string | null, text: string, role: Role = 'user'): Message {
  return { id: newId(), conversationId: store.currentId!, parentId, role, text, attachments: [], createdAt: at++ }
}

/** As after a reload: nothing is left but what IndexedDB holds. */
async function reloaded(id: string) {
  await vi.waitFor(async () => expect((await new History().conversations()).length).toBeGreaterThan(0), SOON)
  setActivePinia(createPinia())
  const fresh = useConversations()
  await fresh.open(id)
  return fresh
}

describe('conversations', () => {
  it('can be waited for, since a question that comes before they are read would stand beside them, not below', async () => {
    const { id } = store.create({ title: 'T', systemPrompt: '' })
    const question = message(null, 'q')
    store.add(id, [question, message(question.id, 'a', 'assistant')])
    await vi.waitFor(async () => expect(await new History().messages(id)).toHaveLength(2), SOON)
    setActivePinia(createPinia())
    const fresh = useConversations()
    void fresh.open(id)
    expect(fresh.path).toEqual([])
    await fresh.opened()
    expect(fresh.path.map(({ text }) => text)).toEqual(['q', 'a'])
  })

  it('are there again after a reload, at the branch that was shown', async () => {
    const { id } = store.create({ title: 'T', systemPrompt: 's' })
    const question = message(null, 'q')
    const [one, two] = [message(question.id, 'one', 'assistant'), message(question.id, 'two', 'assistant')]
    store.add(id, [question, one])
    store.add(id, [two])
    expect(store.path.map(({ text }) => text)).toEqual(['q', 'two'])
    store.showBranch(one.id)
    await store.save({ ...one, text: 'one and more' })
    const fresh = await reloaded(id)
    expect(fresh.path.map(({ text }) => text)).toEqual(['q', 'one and more'])
    expect(fresh.current).toMatchObject({ title: 'T', systemPrompt: 's' })
  })

  it('lose a message with all below it, and get them back', async () => {
    const { id } = store.create({ title: '', systemPrompt: '' })
    const question = message(null, 'q')
    const answer = message(question.id, 'a', 'assistant')
    store.add(id, [question, answer, message(answer.id, 'q2')])
    store.removeMessage(answer.id)
    expect(store.path.map(({ text }) => text)).toEqual(['q'])
    await store.undo()
    expect(store.path.map(({ text }) => text)).toEqual(['q', 'a', 'q2'])
    expect((await reloaded(id)).path).toHaveLength(3)
  })

  it('come back whole when their deletion is undone', async () => {
    const { id } = store.create({ title: 'gone', systemPrompt: '' })
    store.add(id, [message(null, 'q')])
    await store.remove(id)
    expect(store.list).toEqual([])
    expect(store.current).toBeNull()
    expect((await store.undo())?.id).toBe(id)
    expect((await reloaded(id)).path.map(({ text }) => text)).toEqual(['q'])
  })

  it('tell who writes an answer that it was deleted meanwhile', async () => {
    const { id } = store.create({ title: '', systemPrompt: '' })
    const answer = message(null, 'half', 'assistant')
    store.add(id, [answer])
    await store.remove(id)
    expect(await store.save({ ...answer, text: 'whole' })).toBe(false)
  })

  it('go on in memory when the storage is full, and say so', async () => {
    vi.spyOn(History.prototype, 'putMessages').mockRejectedValue(Object.assign(new Error(), { name: 'QuotaExceededError' }))
    const { id } = store.create({ title: '', systemPrompt: '' })
    const answer = message(null, '', 'assistant')
    store.add(id, [answer])
    await vi.waitFor(() => expect(store.failure?.code).toBe('storage_full'), SOON)
    expect(await store.save({ ...answer, text: 'shown' })).toBe(true)
    await store.open(null)
    await store.open(id)
    expect(store.path.map(({ text }) => text)).toEqual(['shown'])
    vi.restoreAllMocks()
  })

  it('know which of them is not there', async () => {
    expect(await store.open('nowhere')).toBe(false)
    expect(await store.open(null)).toBe(true)
  })

  it('follow what another tab has written', async () => {
    const { id } = store.create({ title: 'mine', systemPrompt: '' })
    store.add(id, [message(null, 'q')])
    await vi.waitFor(async () => expect(await new History().messages(id)).toHaveLength(1), SOON)
    await new History().patchConversation(id, { title: 'theirs' })
    await store.refresh(id)
    expect(store.current?.title).toBe('theirs')
    await new History().deleteConversation(id)
    await store.refresh(id)
    expect(store.current).toBeNull()
  })

  it('are found by a request of theirs, answered or failed, and by no other', async () => {
    const { id } = store.create({ title: 'T', systemPrompt: '' })
    const answered: Message = { ...message(null, 'a', 'assistant'), stats: { requestId: 'req_answered' } }
    const failed: Message = { ...message(answered.id, '', 'assistant'), failure: { code: 'x', message: '', requestId: 'req_failed' } }
    store.add(id, [answered, failed])
    const found = await Promise.all(['req_answered', 'req_failed', 'req_other'].map(store.placeOf))
    expect(found.map((place) => place?.id)).toEqual([answered.id, failed.id, undefined])
    expect(found[0]?.conversationId).toBe(id)
  })
})
