import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { streamChat } from '@/api/chat'
import { ApiError } from '@/api/http'
import type { ChatRequest, Delta, Message } from '@/types'
import { joined, useAnswering } from './useAnswering'

vi.mock('@/api/chat', () => ({ streamChat: vi.fn() }))

const request: ChatRequest = { systemPrompt: '', turns: [], sampling: {} }
const blank: Message = { id: 'a', conversationId: 'c', parentId: 'q', role: 'assistant', text: '', attachments: [], createdAt: 1 }
const { answer, live, stop } = useAnswering()
const save = vi.fn(async (_: Message) => true)

function stream(make: (signal: AbortSignal) => AsyncGenerator<Delta>): void {
  vi.mocked(streamChat).mockImplementation((_, signal) => make(signal))
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  save.mockReset().mockResolvedValue(true)
})

describe('an answer that is being made', () => {
  it('puts thought and text together and keeps the end', async () => {
    stream(async function* () {
      yield { type: 'thinking', text: 'h' }
      yield { type: 'thinking', text: 'm' }
      yield { type: 'text', text: '22' }
      yield { type: 'text', text: '.58' }
      yield { type: 'end', finish: 'stop', stats: { totalMs: 5 } }
    })
    const done = await answer({ request, message: blank, save })
    expect(done).toMatchObject({ text: '22.58', thinking: 'hm', finish: 'stop', stats: { totalMs: 5 } })
    expect(save).toHaveBeenLastCalledWith(done)
    expect(live.size).toBe(0)
  })

  it('has thought until its first word, also where the thought comes in one piece', async () => {
    stream(async function* () {
      yield { type: 'thinking', text: 'hm' }
      vi.advanceTimersByTime(1500)
      yield { type: 'text', text: '22' }
      vi.advanceTimersByTime(1500)
      yield { type: 'text', text: '.58' }
    })
    expect(await answer({ request, message: blank, save })).toMatchObject({ thinkingMs: 1500 })
  })

  it('is shown once a frame, however many tokens come', async () => {
    const shown = vi.spyOn(live, 'set')
    stream(async function* () {
      for (let i = 0; i < 500; i++) yield { type: 'text', text: 'x' }
      yield { type: 'end', finish: 'stop', stats: {} }
    })
    await answer({ request, message: blank, save })
    expect(shown.mock.calls.length).toBeLessThan(5)
    shown.mockRestore()
  })

  it('is saved about once a second while it grows, so that a reload loses nothing that was shown', async () => {
    stream(async function* () {
      for (let i = 0; i < 5; i++) {
        yield { type: 'text', text: String(i) }
        await new Promise((resolve) => setTimeout(resolve, 1000))
      }
      yield { type: 'end', finish: 'stop', stats: {} }
    })
    const done = answer({ request, message: blank, save })
    await vi.advanceTimersByTimeAsync(2500)
    expect(save.mock.calls.map(([message]) => [message.text, message.finish])).toEqual([['0', undefined], ['01', undefined]])
    await vi.advanceTimersByTimeAsync(5000)
    expect((await done).text).toBe('01234')
  })

  it('keeps its text when it fails or is stopped', async () => {
    stream(async function* () {
      yield { type: 'text', text: 'half' }
      throw new ApiError({ code: 'connection_lost', message: 'gone', requestId: 'r' })
    })
    expect(await answer({ request, message: blank, save })).toMatchObject({ text: 'half', finish: 'error', failure: { requestId: 'r' } })
    stream(async function* (signal) {
      yield { type: 'text', text: 'half' }
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      yield { type: 'end', finish: 'stopped', stats: {} }
    })
    const done = answer({ request, message: blank, save })
    await vi.advanceTimersByTimeAsync(10)
    stop('c')
    expect(await done).toMatchObject({ text: 'half', finish: 'stopped' })
  })

  it('stops when nobody has it any more', async () => {
    save.mockResolvedValue(false)
    let aborted = false
    stream(async function* (signal) {
      yield { type: 'text', text: 'half' }
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      aborted = true
      yield { type: 'end', finish: 'stopped', stats: {} }
    })
    const done = answer({ request, message: blank, save })
    await vi.advanceTimersByTimeAsync(1500)
    await done
    expect(aborted).toBe(true)
  })

  it('goes on where it ended: one text, without the old failure, figures of both parts', async () => {
    stream(async function* () {
      yield { type: 'text', text: ' and more' }
      yield { type: 'end', finish: 'stop', stats: { totalMs: 5, completionTokens: 2, promptTokens: 99 } }
    })
    const before: Message = { ...blank, text: 'half', finish: 'error', failure: { code: 'x', message: 'x' }, stats: { totalMs: 7, completionTokens: 3, promptTokens: 50, firstTokenMs: 1 } }
    const done = await answer({ request, message: before, save })
    expect(done).toMatchObject({ text: 'half and more', finish: 'stop', stats: { totalMs: 12, completionTokens: 5, promptTokens: 50, firstTokenMs: 1 } })
    expect(done.failure).toBeUndefined()
    expect(joined({}, { completionTokens: 2 }).totalMs).toBeUndefined()
  })
})
