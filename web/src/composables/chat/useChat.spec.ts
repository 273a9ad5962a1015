import 'fake-indexeddb/auto'
import { flushPromises } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { streamChat } from '@/api/chat'
import { ApiError } from '@/api/http'
import { health } from '@/api/server'
import { PageDatabase } from '@/lib/history/db'
import { USUAL } from '@/lib/limits'
import { useConversations } from '@/stores/conversations'
import { useServer } from '@/stores/server'
import { useSettings } from '@/stores/settings'
import type { Attachment, ChatRequest, Delta } from '@/types'
import { useChat } from './useChat'

vi.mock('@/api/chat', () => ({ streamChat: vi.fn() }))
vi.mock('@/api/server', () => ({ health: vi.fn(), gaveUp: async () => false, listModels: async () => ({ names: [], maxModelLen: null, defaults: null, limits: null }), serverVersion: async () => '' }))

const asked: ChatRequest[] = []
let finish: Delta = { type: 'end', finish: 'stop', stats: {} }
let gate: Promise<void> | undefined
async function* model(request: ChatRequest): AsyncGenerator<Delta> {
  asked.push(request)
  yield { type: 'text', text: `answer ${asked.length}` }
  await gate
  yield finish
}

let chat: ReturnType<typeof useChat>
let store: ReturnType<typeof useConversations>

beforeEach(async () => {
  await Promise.all(new PageDatabase().tables.map((table) => table.clear()))
  localStorage.clear()
  setActivePinia(createPinia())
  asked.length = 0
  gate = undefined
  finish = { type: 'end', finish: 'stop', stats: {} }
  vi.mocked(streamChat).mockImplementation(model)
  vi.mocked(health).mockResolvedValue({ status: 'ok', model_loaded: true, model: 'nano' })
  await useServer().check()
  chat = useChat()
  store = useConversations()
  await store.load()
})
afterEach(flushPromises)

const say = (text: string) => chat.send({ text, attachments: [] })
const answerId = () => store.path.at(-1)!.id

async function loses(state: 'loading' | null): Promise<void> {
  vi.mocked(health).mockResolvedValue(state && { status: state, model_loaded: false, model: 'nano' })
  await useServer().check()
}

describe('nothing is asked', () => {
  /** Every way to ask that is no new question. */
  async function tryAll(): Promise<void> {
    const [question, answer] = store.path
    await chat.regenerate(answer!.id)
    await chat.goOn(answer!.id)
    await chat.unlock(answer!.id, 'secret')
    await chat.edit(question!.id, { text: 'another', attachments: [] })
    await say('one more')
  }

  it.each([['loading', 'server.loading'], [null, 'server.unreachable']] as const)('of a server that is %s', async (state, why) => {
    await say('one')
    await loses(state)
    expect(chat.whyNot.value).toBe(why)
    await tryAll()
    expect(asked).toHaveLength(1)
    expect(store.messages.size).toBe(2)
  })

  it('while an answer is made, which is not broken off either', async () => {
    let open = () => {}
    gate = new Promise((resolve) => (open = resolve))
    const saying = say('one')
    expect(chat.whyNot.value).toBe('busy')
    await tryAll()
    open()
    await saying
    expect(asked).toHaveLength(1)
    expect(store.path.at(-1)?.finish).toBe('stop')
    expect(chat.whyNot.value).toBeNull()
  })
})

describe('a conversation', () => {
  it('is asked on, again and otherwise', async () => {
    await say('one')
    await say('two')
    await chat.regenerate(answerId())
    await chat.edit(store.path[0]!.id, { text: 'three', attachments: [] })
    expect(asked.map(({ turns }) => turns.map(({ text }) => text))).toEqual([['one'], ['one', 'answer 1', 'two'], ['one', 'answer 1', 'two'], ['three']])
  })

  it('goes on with an answer up to the length that is set now', async () => {
    const settings = useSettings()
    settings.sampling = { max_tokens: 8, temperature: 0.2 }
    finish = { type: 'end', finish: 'length', stats: {} }
    await say('one')
    settings.sampling = { max_tokens: 64, temperature: 0.9 }
    await chat.goOn(answerId())
    expect(asked.map(({ sampling }) => sampling)).toEqual([{ max_tokens: 8, temperature: 0.2 }, { max_tokens: 64, temperature: 0.2 }])
    expect(store.path.at(-1)?.text).toBe('answer 1answer 2')
  })

  it('keeps the password of a PDF where the server turns out to be away, and tells that it is', async () => {
    const pdf: Attachment = { id: 'p', kind: 'pdf', name: 'a.pdf', blob: new Blob(['x']) }
    await chat.send({ text: 'one', attachments: [pdf] })
    vi.mocked(streamChat).mockImplementationOnce(() => {
      throw new ApiError({ code: 'unreachable', message: 'no server' })
    })
    await chat.unlock(answerId(), 's3cret')
    expect(store.path.at(-1)?.failure?.code).toBe('unreachable')
    await chat.regenerate(answerId())
    expect(asked.at(-1)?.turns[0]?.attachments[0]?.password).toBe('s3cret')
  })

  it('longer than the server takes sends the newest messages and says how many it leaves behind', async () => {
    await say('one')
    expect(chat.unsent.value).toBe(0)
    useServer().limits = { ...USUAL, messages: 3 }
    await say('two')
    expect(chat.unsent.value).toBe(2)
    await say('three')
    expect(asked.at(-1)?.turns.map(({ text }) => text)).toEqual(['two', 'answer 2', 'three'])
  })
})
