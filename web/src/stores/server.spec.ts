import { flushPromises } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { request } from '@/api/http'
import { setKeyDesk } from '@/api/keys'
import { useServer } from './server'
import { useSettings } from './settings'

const answers = new Map<string, () => Response | Promise<Response>>()
const asked: string[] = []
const json = (body: unknown, status = 200) => () => new Response(JSON.stringify(body), { status })
const health = (status: string, more = {}) => json({ status, model_loaded: true, model: 'nano', ...more }, status === 'ok' ? 200 : 503)

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
  setActivePinia(createPinia())
  asked.length = 0
  answers.clear()
  answers.set('/health', health('ok'))
  answers.set('/v1/models', json({ data: [{ id: 'nano', max_model_len: 4096 }, { id: 'alias', max_model_len: 4096 }] }))
  answers.set('/health/live', json({ status: 'ok' }))
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path)
    const answer = answers.get(path)
    if (!answer) throw new TypeError('Failed to fetch')
    return answer()
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  setKeyDesk(null)
})

const looked = async () => {
  const server = useServer()
  await server.check()
  await flushPromises()
  return server
}

describe('server', () => {
  it('is ready and knows names and context', async () => {
    expect(await looked()).toMatchObject({ state: 'ready', canSend: true, whyNot: null, models: ['nano', 'alias'], maxModelLen: 4096, model: 'nano' })
  })

  it('knows what it would do by itself and what it takes, and neither of a server that does not tell', async () => {
    expect(await looked()).toMatchObject({ defaults: null, limits: null })
    const limits = { max_images: 3, max_videos: 1, max_document_pages: 5, max_image_bytes: 7, max_video_bytes: 8, max_body_bytes: 9, max_image_pixels: 10, max_image_side: 11 }
    answers.set('/v1/models', json({ data: [{ id: 'nano', max_model_len: 4096, default_sampling: { temperature: 0.8 }, limits }] }))
    const server = useServer()
    await server.loadModels()
    expect(server.defaults).toMatchObject({ temperature: 0.8 })
    expect(server.limits).toEqual({ messages: 256, pictures: 3, clips: 1, pages: 5, pictureBytes: 7, clipBytes: 8, bodyBytes: 9, pixels: 10, side: 11 })
  })

  it('takes as many messages as the server says, where it says so', async () => {
    answers.set('/v1/models', json({ data: [{ id: 'nano', max_model_len: 4096, limits: { max_messages: 12 } }] }))
    expect((await looked()).limits?.messages).toBe(12)
  })

  it('tells how far loading is', async () => {
    answers.set('/health', health('loading', { detail: 'weights', progress: 0.4 }))
    expect((await looked()).progress).toBe(0.4)
  })

  it.each([
    ['loading', 'loading', 'weights'],
    ['draining', 'draining', 'the server is shutting down'],
    ['stopped', 'draining', ''],
    ['stalled', 'stalled', ''],
    ['dead', 'dead', 'out of memory'],
  ])('that says %s is %s, and nothing can be sent', async (status, state, detail) => {
    answers.set('/health', health(status, detail ? { detail } : {}))
    expect(await looked()).toMatchObject({ state, detail, canSend: false, givenUp: false })
  })

  it('that is dead for good is given up', async () => {
    answers.set('/health', health('dead'))
    answers.set('/health/live', json({ status: 'dead' }, 503))
    expect((await looked()).givenUp).toBe(true)
  })

  it.each([
    ['nobody', undefined],
    ['a proxy', () => new Response('<html>502</html>', { status: 502 })],
    ['somebody else', json({ status: 'UP' })],
  ])('is unreachable when %s answers', async (_who, answer) => {
    if (answer) answers.set('/health', answer)
    else answers.delete('/health')
    expect(await looked()).toMatchObject({ state: 'unreachable', canSend: false })
  })

  it('needs a key when models are refused, asks for none by itself, and comes back with the key', async () => {
    answers.set('/v1/models', json({ error: { message: 'needs a key', code: 'invalid_api_key' } }, 401))
    const ask = vi.fn(async () => null)
    const settings = useSettings()
    setKeyDesk({ current: () => settings.apiKey, ask })
    const server = await looked()
    await server.check()
    await flushPromises()
    expect(server).toMatchObject({ state: 'key-needed', canSend: true })
    expect(ask).not.toHaveBeenCalled()
    answers.set('/v1/models', json({ data: [{ id: 'nano', max_model_len: 4096 }] }))
    settings.apiKey = 'right'
    await flushPromises()
    expect(server).toMatchObject({ state: 'ready', models: ['nano'] })
  })

  it('says that a key is needed, without asking, when the key was forgotten', async () => {
    const ask = vi.fn(async () => null)
    const settings = useSettings()
    settings.apiKey = 'right'
    setKeyDesk({ current: () => settings.apiKey, ask })
    const server = await looked()
    answers.set('/v1/models', json({ error: { message: 'needs a key', code: 'invalid_api_key' } }, 401))
    settings.apiKey = null
    await flushPromises()
    expect(server.state).toBe('key-needed')
    expect(ask).not.toHaveBeenCalled()
  })

  it('is looked at at once when a request could not reach it', async () => {
    const server = await looked()
    answers.clear()
    await request('/v1/models').catch(() => null)
    await flushPromises()
    expect(server.state).toBe('unreachable')
  })

  it('is not asked twice at the same time', async () => {
    const server = useServer()
    await Promise.all([server.check(), server.check()])
    expect(asked.filter((path) => path === '/health')).toHaveLength(1)
  })
})
