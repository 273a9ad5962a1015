import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ref } from 'vue'
import { SOON } from '@/fixtures/waiting'
import { remember, useSceneBatch } from './useSceneBatch'

const png = (name: string) => new File(['x'], name, { type: 'image/png', lastModified: 1 })
const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', 'x-request-id': 'req_1' } })
const nameIn = (init: RequestInit) => ((init.body as FormData).get('file') as File).name

type Answerer = (name: string, init: RequestInit) => Response | Promise<Response>
function answering(answer: Answerer) {
  const fetched = vi.fn((_: string, init: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')))
      void Promise.resolve(answer(nameIn(init), init)).then(resolve, reject)
    }),
  )
  vi.stubGlobal('fetch', fetched)
  return fetched
}

const batchOf = (names: string[], atOnce = 2) => {
  const batch = useSceneBatch('audit', () => ({ rules: 'no red' }), ref(atOnce))
  batch.add(names.map(png))
  return batch
}
const states = (batch: ReturnType<typeof batchOf>) => batch.items.map((item) => item.state)

beforeEach(() => {
  setActivePinia(createPinia())
  localStorage.clear()
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

describe('a batch of files', () => {
  it('asks each once with the same question, a few at once', async () => {
    let [running, most] = [0, 0]
    const fetched = answering(async (name) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 1))
      running--
      return json({ name })
    })
    const batch = batchOf(['a', 'b', 'c', 'd', 'e'], 2)
    await batch.run()
    expect(most).toBe(2)
    expect(fetched).toHaveBeenCalledTimes(5)
    expect((fetched.mock.calls[0]![1].body as FormData).get('rules')).toBe('no red')
    expect(batch.items.map((item) => item.answer?.result)).toEqual(['a', 'b', 'c', 'd', 'e'].map((name) => ({ name })))
    expect(batch.items[0]!.answer?.requestId).toBe('req_1')
  })

  it('sends a password with its own file alone, as it was typed, and asks again what failed without it', async () => {
    const sent = new Map<string, FormDataEntryValue | null>()
    answering((name, init) => {
      const password = (init.body as FormData).get('password')
      sent.set(name, password)
      return name === 'locked.pdf' && password === null ? json({ error: { message: 'a password is needed', code: 'encrypted_document' } }, 400) : json({ name })
    })
    const batch = batchOf(['a', 'locked.pdf'])
    await batch.run()
    expect(states(batch)).toEqual(['done', 'failed'])
    batch.unlock(batch.items[1]!, ' s3cret ')
    await vi.waitFor(() => expect(states(batch)).toEqual(['done', 'done']), SOON)
    expect([...sent]).toEqual([['a', null], ['locked.pdf', ' s3cret ']])
    expect(JSON.stringify({ ...localStorage })).not.toContain('s3cret')
    batch.unlock(batch.items[1]!, '')
    await batch.run([...batch.items])
    expect(sent.get('locked.pdf')).toBeNull()
  })

  it('lets what was unlocked wait where it cannot be asked at once, and asks it with its password then', async () => {
    const locked = json({ error: { message: 'it is encrypted', code: 'encrypted_document' } }, 400)
    const fetched = answering((name, init) => ((init.body as FormData).get('password') ? json({ name }) : locked))
    const batch = batchOf(['locked.pdf'])
    await batch.run()
    batch.unlock(batch.items[0]!, 's3cret', false)
    expect(states(batch)).toEqual(['waiting'])
    expect(batch.items[0]!.failure).toBeUndefined()
    expect(fetched).toHaveBeenCalledTimes(1)
    await batch.run()
    expect(states(batch)).toEqual(['done'])
  })

  it('goes on past a file that fails, and retries only those', async () => {
    let broken = true
    const fetched = answering((name) => (name === 'b' && broken ? json({ error: { message: 'no picture', code: 'invalid_image' } }, 400) : json({ name })))
    const batch = batchOf(['a', 'b', 'c'])
    await batch.run()
    expect(states(batch)).toEqual(['done', 'failed', 'done'])
    expect(batch.items[1]!.failure).toMatchObject({ code: 'invalid_image', status: 400, requestId: 'req_1' })
    broken = false
    await batch.retry()
    expect(states(batch)).toEqual(['done', 'done', 'done'])
    expect(fetched).toHaveBeenCalledTimes(4)
  })

  it('keeps what is done when it is cancelled, and goes on later with the rest', async () => {
    const batch = batchOf(['a', 'b', 'c'], 1)
    answering((name) => {
      if (name !== 'b') return json({ name })
      batch.cancel()
      return new Promise<Response>(() => {}) // never answers: only the abort ends it
    })
    await batch.run()
    expect(states(batch)).toEqual(['done', 'waiting', 'waiting'])
    expect(batch.running.value).toBe(false)
    const fetched = answering((name) => json({ name }))
    await batch.run()
    expect(states(batch)).toEqual(['done', 'done', 'done'])
    expect(fetched).toHaveBeenCalledTimes(2)
  })

  it('waits for a server that is full and asks again', async () => {
    vi.useFakeTimers()
    let full = 2
    const fetched = answering((name) => (full-- > 0 ? json({ error: { message: 'full', code: 'server_is_overloaded' } }, 503) : json({ name })))
    const batch = batchOf(['a'])
    const run = batch.run()
    await vi.runAllTimersAsync()
    await run
    expect([states(batch), fetched.mock.calls.length]).toEqual([['done'], 3])
  })

  it('does not try the rest when what failed would fail for all', async () => {
    const fetched = answering(() => json({ error: { message: 'not yours', code: 'permission_denied' } }, 403))
    const batch = batchOf(['a', 'b', 'c'], 1)
    await batch.run()
    expect(states(batch)).toEqual(['failed', 'waiting', 'waiting'])
    expect(batch.stopped.value?.code).toBe('permission_denied')
    expect(fetched).toHaveBeenCalledTimes(1)
  })

  it('stops when the server cannot be reached', async () => {
    answering(() => Promise.reject(new TypeError('Failed to fetch')))
    const batch = batchOf(['a', 'b'], 1)
    await batch.run()
    expect(states(batch)).toEqual(['failed', 'waiting'])
    expect(batch.stopped.value).toBeDefined()
  })

  it('takes 500 files', async () => {
    answering((name) => json({ name }))
    const batch = batchOf(Array.from({ length: 500 }, (_, at) => `${at}.png`), 4)
    await batch.run()
    expect(batch.counts.value).toEqual({ all: 500, done: 500, failed: 0, waiting: 0, running: 0 })
  })
})

describe('what was decided', () => {
  it('is found again with the same file, and corrections only with the same answer', async () => {
    answering(() => json({ words: ['best'] }))
    const first = batchOf(['a'])
    await first.run()
    Object.assign(first.items[0]!, { decisions: { 'words:best': { state: 'rejected' } }, edited: { words: [] } })
    expect(remember('audit', first.items[0]!)).toBe(true)

    const again = batchOf(['a', 'other'])
    await again.run()
    expect(again.items[0]).toMatchObject({ decisions: { 'words:best': { state: 'rejected' } }, edited: { words: [] } })
    expect(again.items[1]!.decisions).toEqual({})

    answering(() => json({ words: ['first'] }))
    const later = batchOf(['a'])
    await later.run()
    expect(later.items[0]!.edited).toBeUndefined()
  })
})
