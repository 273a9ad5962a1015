// @vitest-environment node
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { History, newId, PageDatabase, storageFailure } from './db'
import type { Attachment, Conversation, Message } from '@/types'

let history: History
let name: string

beforeEach(() => {
  name = `test-${newId()}`
  history = new History(new PageDatabase(name))
})

afterEach(() => history.db.delete())

function conversation(id: string, updatedAt = 1): Conversation {
  return { id, title: id, titleIsOwn: false, systemPrompt: '', leafId: null, createdAt: 1, updatedAt }
}

function message(id: string, text: string, attachments: Attachment[] = [], conversationId = 'c'): Message {
  return { id, conversationId, parentId: null, role: 'user', text, attachments, createdAt: 1 }
}

const picture = (): Attachment => ({
  id: newId(),
  kind: 'image',
  name: 'a.png',
  blob: new Blob(['picture'], { type: 'image/png' }),
})

describe('the history of this browser', () => {
  it('gives messages back with their pictures after a reload', async () => {
    await history.putMessages([message('m', 'what is this?', [picture()])])
    const later = new History(new PageDatabase(name))
    const [found] = await later.messages('c')
    expect(found!.text).toBe('what is this?')
    expect(found!.attachments[0]!.blob!.type).toBe('image/png')
    expect(await found!.attachments[0]!.blob!.text()).toBe('picture')
    later.db.close()
  })

  it('keeps a picture once when two messages share it, also after a reload', async () => {
    const shared = picture()
    await history.putMessages([message('m1', 'one', [shared])])
    const later = new History(new PageDatabase(name))
    const [first] = await later.messages('c')
    await later.putMessages([message('m2', 'two', [{ ...first!.attachments[0]!, id: 'copy' }])])
    expect(await later.db.files.count()).toBe(1)
    later.db.close()
  })

  it('keeps both pictures when a cropped one has the same id', async () => {
    const one = picture()
    const cropped = { ...one, blob: new Blob(['part']) }
    await history.putMessages([message('m1', '', [one]), message('m2', '', [cropped])])
    expect(await history.db.files.count()).toBe(2)
  })

  it('lists the newest conversation first', async () => {
    for (const [id, at] of [['old', 1], ['new', 3], ['middle', 2]] as const) await history.putConversation(conversation(id, at))
    expect((await history.conversations()).map(({ id }) => id)).toEqual(['new', 'middle', 'old'])
  })

  it('does not bring back a message that another tab has deleted', async () => {
    const one = message('m', 'half')
    await history.putMessages([one])
    await history.deleteMessages(['m'])
    expect(await history.updateMessage({ ...one, text: 'whole' })).toBe(false)
    expect(await history.messages('c')).toEqual([])
  })

  it('changes only the fields of a patch and tells when the conversation is gone', async () => {
    await history.putConversation(conversation('c'))
    expect(await history.patchConversation('c', { title: 'new' })).toBe(true)
    expect(await history.patchConversation('c', { title: 'new' })).toBe(true)
    expect((await history.conversations())[0]).toMatchObject({ title: 'new', updatedAt: 1 })
    expect(await history.patchConversation('gone', { title: 'x' })).toBe(false)
  })

  it('finds texts whatever their case, and shows the place', async () => {
    await history.putMessages([message('1', 'The total is 22.58 at Harbor Grocery', [], 'a'), message('2', '高山绿茶 39.90', [], 'b')])
    expect(await history.search('harbor')).toEqual([{ conversationId: 'a', snippet: 'The total is 22.58 at Harbor Grocery' }])
    expect((await history.search('绿茶')).map((hit) => hit.conversationId)).toEqual(['b'])
    expect(await history.search('  ')).toEqual([])
  })

  it('sweeps the files of deleted messages, and no others', async () => {
    const kept = picture()
    await history.putConversation(conversation('c'))
    await history.putMessages([message('m1', '', [picture()], 'c'), message('m2', '', [kept], 'd')])
    await history.deleteConversation('c')
    expect(await history.sweep()).toBe(0) // young: an undo may still want them
    expect(await history.sweep(0)).toBe(1)
    expect((await history.messages('d'))[0]!.attachments[0]!.blob).toBeDefined()
  })

  it('puts a deleted conversation back whole', async () => {
    await history.putConversation(conversation('c'))
    await history.putMessages([message('m', 'text', [picture()])])
    const snapshot = { conversation: (await history.conversations())[0]!, messages: await history.messages('c') }
    await history.deleteConversation('c')
    await history.putSnapshots([snapshot])
    expect((await history.messages('c'))[0]!.attachments[0]!.blob).toBeDefined()
    expect(await history.db.files.count()).toBe(1)
  })

  it('keeps a draft with its pictures until it is empty', async () => {
    await history.putDraft('c', 'half a que', [picture()])
    const found = await history.draft('c')
    expect(found.text).toBe('half a que')
    expect(await found.attachments[0]!.blob!.text()).toBe('picture')
    await history.putDraft('c', '', [])
    expect(await history.draft('c')).toEqual({ text: '', attachments: [] })
    expect(await history.db.drafts.count()).toBe(0)
  })

  it('never keeps the password of a PDF, neither in a draft nor in a message', async () => {
    const locked: Attachment = { ...picture(), kind: 'pdf', pages: '1', password: 'secret' }
    await history.putDraft('c', 'q', [locked])
    await history.putMessages([message('m', 'q', [locked])])
    await history.updateMessage(message('m', 'q', [locked]))
    expect(JSON.stringify([await history.db.drafts.toArray(), await history.db.messages.toArray()])).not.toContain('secret')
    expect((await history.draft('c')).attachments[0]).toMatchObject({ kind: 'pdf', pages: '1' })
  })

  it('says in plain words that there is no room, also where Dexie wraps the error', () => {
    const wrapped = { name: 'AbortError', inner: { name: 'QuotaExceededError' } }
    expect(storageFailure(wrapped).code).toBe('storage_full')
    expect(storageFailure(new Error('x')).code).toBe('storage_unavailable')
  })
})
