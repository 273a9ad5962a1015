import { afterEach, describe, expect, it, vi } from 'vitest'
import { streamChat } from './chat'
import { ApiError } from './http'
import type { ChatRequest, Delta } from '@/types'

vi.mock('./keys', () => ({ keyKindOf: () => 'user', keyDesk: () => ({ current: () => null, ask: async () => null }) }))

const request: ChatRequest = { systemPrompt: '', turns: [{ role: 'user', text: 'Hello', attachments: [] }], sampling: {} }
const chunk = (delta: object, more: object = {}) =>
  `data: ${JSON.stringify({ model: 'flashweb-nano', choices: [{ index: 0, delta, finish_reason: null }], usage: null, ...more })}\n\n`
const USAGE = `data: ${JSON.stringify({
  choices: [],
  usage: { prompt_tokens: 311, completion_tokens: 6, prompt_tokens_details: { cached_tokens: 16, image_tokens: 266 } },
  timings_ms: { total: 406 },
})}\n\n`
const STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
const DONE = 'data: [DONE]\n\n'

function serve(body: BodyInit, init: ResponseInit = {}): ReturnType<typeof vi.fn> {
  const fetched = vi.fn(async () => new Response(body, { headers: { 'x-request-id': 'req_1', 'x-flashweb-model': 'flashweb-nano' }, ...init }))
  vi.stubGlobal('fetch', fetched)
  return fetched
}

async function all(signal = new AbortController().signal): Promise<Delta[]> {
  const found: Delta[] = []
  for await (const delta of streamChat(request, signal)) found.push(delta)
  return found
}

async function failure() {
  const error = await all().then(() => null, (reason: unknown) => reason)
  expect(error).toBeInstanceOf(ApiError)
  return (error as ApiError).failure
}

afterEach(() => vi.unstubAllGlobals())

describe('an answer that streams', () => {
  it('brings its thought, its text, and at the end what it cost', async () => {
    serve(chunk({ role: 'assistant', content: '' }) + chunk({ reasoning_content: 'hm', reasoning: 'hm' }) + chunk({ content: '22.58' }) + STOP + USAGE + DONE)
    const found = await all()
    expect(found.slice(0, 2)).toEqual([{ type: 'thinking', text: 'hm' }, { type: 'text', text: '22.58' }])
    const end = found[2]!
    expect(end).toMatchObject({ type: 'end', finish: 'stop' })
    if (end.type !== 'end') return
    expect(end.stats).toMatchObject({ requestId: 'req_1', model: 'flashweb-nano', promptTokens: 311, completionTokens: 6, imageTokens: 266, cachedTokens: 16 })
    expect(end.stats.totalMs).toBeGreaterThanOrEqual(end.stats.firstTokenMs!)
  })

  it('says who refused and why, before the first token', async () => {
    serve('{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}', { status: 400, headers: { 'x-request-id': 'req_2' } })
    expect(await failure()).toMatchObject({ code: 'context_length_exceeded', message: 'too long', status: 400, requestId: 'req_2' })
  })

  it('says what went wrong inside the stream, with the request id', async () => {
    serve(`${chunk({ content: 'a' })}data: {"error":{"message":"stopped","type":"server_error","code":null}}\n\n${DONE}`)
    expect(await failure()).toEqual({ code: 'server_error', message: 'stopped', requestId: 'req_1' })
  })

  it('is not taken for whole when it breaks off', async () => {
    serve(chunk({ content: 'a' }))
    expect((await failure()).code).toBe('stream_cut')
    serve('data: {"half\n\n')
    expect((await failure()).code).toBe('stream_unreadable')
  })

  it('tells a lost connection from a server that refused', async () => {
    serve(new ReadableStream({ start: (controller) => controller.error(new TypeError('network error')) }))
    expect((await failure()).code).toBe('connection_lost')
  })

  it('ends as stopped when the user stops it, and closes the connection', async () => {
    let closed = false
    serve(new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(chunk({ content: 'half' }))),
      cancel: () => void (closed = true),
    }))
    const abort = new AbortController()
    const found: Delta[] = []
    for await (const delta of streamChat(request, abort.signal)) {
      found.push(delta)
      if (delta.type === 'text') break
    }
    expect(closed).toBe(true)
    abort.abort()
    vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
      init.signal!.throwIfAborted()
      return new Response()
    })
    expect(await all(abort.signal)).toMatchObject([{ type: 'end', finish: 'stopped' }])
  })

  it('asks for nothing when a picture is no longer there', async () => {
    const fetched = serve('')
    const gone: ChatRequest = { ...request, turns: [{ role: 'user', text: '', attachments: [{ id: 'a', kind: 'image', name: 'a.png' }] }] }
    await expect(streamChat(gone, new AbortController().signal).next()).rejects.toMatchObject({ failure: { code: 'file_missing' } })
    expect(fetched).not.toHaveBeenCalled()
  })
})
