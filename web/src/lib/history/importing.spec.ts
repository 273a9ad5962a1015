// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { fileNameFrom, FORMAT, toJson, toMarkdown, type Kept } from './exporting'
import { ImportError, readData, readExport } from './importing'
import type { Message } from '@/types'

const words = { user: 'Question', assistant: 'Answer', thinking: 'Thought', system: 'System prompt', made: 'Made', untitled: 'New', language: 'en', markdown: { copy: '', code: 'code', table: 'Table', done: 'done', open: 'open' } }

function kept(): Kept {
  const picture = new Blob([new Uint8Array([1, 2, 3])], { type: 'image/png' })
  const shared = { id: 'a', kind: 'image' as const, name: 'a.png', blob: picture, width: 3 }
  const message = (id: string, parentId: string | null, more: Partial<Message>): Message => ({
    id, conversationId: 'c', parentId, role: 'user', text: id, attachments: [], createdAt: 5, ...more,
  })
  return {
    conversation: { id: 'c', title: 'T', titleIsOwn: true, systemPrompt: 's', leafId: 'm3', createdAt: 1, updatedAt: 2 },
    messages: [
      message('m1', null, { attachments: [shared] }),
      message('m2', 'm1', { role: 'assistant', finish: 'stop', thinking: 'hm', thinkingMs: 3, stats: { totalMs: 4, model: 'm' }, request: { systemPrompt: 's', turns: [], sampling: { seed: 1 }, thinking: true } }),
      message('m1b', null, { attachments: [{ ...shared, id: 'b' }] }),
      message('m3', 'm1', { role: 'assistant', finish: 'error', failure: { code: 'x', message: 'no' } }),
    ],
  }
}

function problemOf(data: unknown): string {
  try {
    readData(data)
  } catch (error) {
    if (error instanceof ImportError) return `${error.problem} ${error.values.where ?? ''}`.trim()
    throw error
  }
  return 'taken'
}

/** A sound file with one thing changed. */
async function changed(change: (data: any) => void): Promise<string> {
  const data = JSON.parse(await (await toJson([kept()])).text())
  change(data)
  return problemOf(data)
}

describe('an export that is imported again', () => {
  it('is the same but for its ids: branches, thoughts, figures, and pictures once', async () => {
    const [back] = await readExport(await toJson([kept()]))
    const { conversation, messages } = back!
    expect(conversation).toMatchObject({ title: 'T', titleIsOwn: true, systemPrompt: 's', createdAt: 1, updatedAt: 2 })
    expect(conversation.id).not.toBe('c')
    expect(messages.map(({ text }) => text)).toEqual(['m1', 'm2', 'm1b', 'm3'])
    expect(messages[1]).toMatchObject({ parentId: messages[0]!.id, finish: 'stop', thinking: 'hm', thinkingMs: 3, stats: { totalMs: 4, model: 'm' }, request: { sampling: { seed: 1 }, thinking: true } })
    expect(conversation.leafId).toBe(messages[3]!.id)
    expect(messages[0]!.attachments[0]).toMatchObject({ kind: 'image', name: 'a.png', width: 3 })
    expect(messages[0]!.attachments[0]!.blob).toBe(messages[2]!.attachments[0]!.blob)
    expect(new Uint8Array(await messages[0]!.attachments[0]!.blob!.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]))
  })

  it('has no passwords', async () => {
    const one = kept()
    one.messages[0]!.attachments[0]!.password = 'secret'
    expect(await (await toJson([one])).text()).not.toContain('secret')
  })

  it('may be imported twice: nothing is written over', async () => {
    const file = await toJson([kept()])
    const ids = [await readExport(file), await readExport(file)].flatMap(([one]) => one!.messages.map(({ id }) => id))
    expect(new Set(ids).size).toBe(8)
  })
})

describe('a file that is no sound export', () => {
  it('is refused with the place of what is wrong', async () => {
    expect(problemOf(null)).toBe('noExport')
    expect(problemOf({ format: FORMAT, version: 99, conversations: [] })).toBe('newer')
    expect(problemOf({ format: FORMAT, version: 1, conversations: [] })).toBe('empty')
    expect(await changed((data) => (data.conversations[0].messages[1].text = { toString: 'x' }))).toBe('wrong conversations[0].messages[1].text')
    expect(await changed((data) => (data.conversations[0].messages[0].role = 'system'))).toBe('wrong conversations[0].messages[0].role')
    expect(await changed((data) => (data.conversations[0].createdAt = '1'))).toBe('wrong conversations[0].createdAt')
    expect(await changed((data) => (data.files.f0.base64 = '***'))).toBe('wrong files.f0.base64')
    expect(await changed((data) => (data.conversations[0].messages[0].attachments[0].file = 'f9'))).toBe('wrong conversations[0].messages[0].attachments[0].file')
    expect(await changed((data) => (data.conversations[0].messages[0].attachments = Array(65).fill({})))).toBe('tooMany conversations[0].messages[0].attachments')
    await expect(readExport(new Blob(['{']))).rejects.toMatchObject({ problem: 'noJson' })
  })

  it('brings no link but to the web, and no file that a browser would run', async () => {
    const asLink = (url: string) => changed((data) => (data.conversations[0].messages[0].attachments[0] = { kind: 'url', name: 'x', url }))
    expect(await asLink('javascript:alert(1)')).toMatch(/^wrong .*url$/)
    expect(await asLink('https://e.org/a.png')).toBe('taken')
    const data = JSON.parse(await (await toJson([kept()])).text())
    data.files.f0.type = 'image/svg+xml'
    expect(readData(data)[0]!.messages[0]!.attachments[0]!.blob!.type).toBe('application/octet-stream')
  })

  it('cannot make a loop, an answer that waits for ever, or fields of its own', async () => {
    const data = JSON.parse(await (await toJson([kept()])).text())
    const [first, second] = data.conversations[0].messages
    first.parentId = 'm2'
    delete second.finish
    second.evil = true
    data.conversations[0].updatedAt = 9e15
    const [{ conversation, messages }] = readData(data) as [Kept]
    expect(messages[0]!.parentId).toBeNull()
    expect(messages[1]!.finish).toBe('stopped')
    expect(messages[1]).not.toHaveProperty('evil')
    expect(conversation.updatedAt).toBeLessThanOrEqual(Date.now())
  })
})

describe('files to read', () => {
  it('has the branch that is shown, as Markdown', async () => {
    const text = await toMarkdown(kept(), words).text()
    expect(text).toBe('# T\n\n## System prompt\n\ns\n\n## Question\n\n- a.png\n\nm1\n\n## Answer\n\nm3\n\n> no\n')
  })

  it('has a name that every file system takes', () => {
    expect(fileNameFrom('a/b: c?\n"d"', 'md')).toBe('a b c d .md'.replace(' .md', '.md'))
    expect(fileNameFrom('...', 'json')).toBe('flashweb.json')
  })
})
