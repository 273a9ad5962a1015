import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError, getJson, postJson, request, watchFailures } from './http'
import { setKeyDesk } from './keys'

const fetchMock = vi.fn<typeof fetch>()
const json = (body: unknown, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers })
const refusal = (code: string, message: string) => ({ error: { message, type: 'invalid_request_error', param: null, code } })
const keysSent = () => fetchMock.mock.calls.map(([, init]) => new Headers(init?.headers).get('authorization'))

async function failureFrom(promise: Promise<unknown>) {
  const error = await promise.catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ApiError)
  return (error as ApiError).failure
}

beforeEach(() => {
  fetchMock.mockReset()
  vi.stubGlobal('fetch', fetchMock)
})
afterEach(() => {
  vi.unstubAllGlobals()
  setKeyDesk(null)
})

describe('request', () => {
  it('sends the user key as bearer, and none where there is none', async () => {
    fetchMock.mockImplementation(async () => json({}))
    await request('/v1/models')
    setKeyDesk({ current: (kind) => (kind === 'user' ? 'k1' : 'a1'), ask: async () => null })
    await request('/v1/models')
    expect(keysSent()).toEqual([null, 'Bearer k1'])
  })

  it('sends the admin key to the admin paths and nowhere else', async () => {
    fetchMock.mockImplementation(async () => json({}))
    setKeyDesk({ current: (kind) => (kind === 'user' ? 'k1' : 'a1'), ask: async () => null })
    for (const path of ['/api/admin/status', '/api/admin', '/api/admin?x', '/api/administration', '/api/scenes']) await request(path)
    expect(keysSent()).toEqual(['Bearer a1', 'Bearer a1', 'Bearer a1', 'Bearer k1', 'Bearer k1'])
  })

  it('never takes a key to another host', async () => {
    for (const path of ['https://evil.example/v1', '//evil.example', '/\\evil.example', 'v1/models']) {
      await expect(request(path)).rejects.toThrow(TypeError)
    }
    expect(fetchMock).not.toHaveBeenCalled()
  })

  it('asks for a key upon a 401 and tries once more with it', async () => {
    fetchMock.mockResolvedValueOnce(json(refusal('invalid_api_key', 'needs a key'), 401)).mockResolvedValueOnce(json({ data: 1 }))
    const ask = vi.fn(async () => 'new')
    setKeyDesk({ current: () => null, ask })
    expect(await postJson('/v1/chat/completions', { a: 1 })).toEqual({ data: 1 })
    expect(keysSent()).toEqual([null, 'Bearer new'])
    expect(ask).toHaveBeenCalledExactlyOnceWith('user', expect.objectContaining({ status: 401, message: 'needs a key' }))
    expect(fetchMock.mock.calls[1]?.[1]?.body).toBe('{"a":1}')
  })

  it.each([
    ['seconds', '30', 30],
    ['a date', new Date(1_000_000 + 90_000).toUTCString(), 90],
    ['far too long', '999999', 3600],
  ])('tells when the server wants to be asked again, said in %s', async (_how, said, seconds) => {
    vi.spyOn(Date, 'now').mockReturnValue(1_000_000)
    fetchMock.mockImplementation(async () => json(refusal('server_is_overloaded', 'full'), 503, { 'retry-after': said }))
    const { retryAt } = await failureFrom(request('/v1/models'))
    vi.restoreAllMocks()
    expect(retryAt).toBe(1_000_000 + 1000 * seconds)
  })

  it.each(['', 'soon', '0', '-3'])('waits for nothing when Retry-After says %j', async (said) => {
    fetchMock.mockImplementation(async () => json(refusal('x', 'no'), 503, said ? { 'retry-after': said } : {}))
    expect(await failureFrom(request('/v1/models'))).not.toHaveProperty('retryAt')
  })

  it('does not ask twice for one request', async () => {
    fetchMock.mockImplementation(async () => json(refusal('invalid_api_key', 'no'), 401))
    const ask = vi.fn(async () => 'wrong')
    setKeyDesk({ current: () => null, ask })
    expect((await failureFrom(request('/v1/models'))).status).toBe(401)
    expect(ask).toHaveBeenCalledOnce()
    expect(fetchMock).toHaveBeenCalledTimes(2)
  })

  it('takes a key that came while it was refused, without asking', async () => {
    let key = 'old'
    fetchMock.mockImplementationOnce(async () => {
      key = 'fresh'
      return json({}, 401)
    })
    fetchMock.mockResolvedValueOnce(json({}))
    const ask = vi.fn(async () => null)
    setKeyDesk({ current: () => key, ask })
    await request('/v1/models')
    expect(ask).not.toHaveBeenCalled()
    expect(keysSent()).toEqual(['Bearer old', 'Bearer fresh'])
  })

  it('gives up waiting for a key when the request is aborted', async () => {
    fetchMock.mockResolvedValue(json({}, 401))
    setKeyDesk({ current: () => null, ask: () => new Promise(() => {}) })
    const controller = new AbortController()
    const waiting = request('/v1/models', { signal: controller.signal })
    setTimeout(() => controller.abort(), 5)
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('says that nobody answered, and lets an abort be an abort', async () => {
    fetchMock.mockRejectedValue(new TypeError('Failed to fetch'))
    expect(await failureFrom(request('/v1/models'))).toEqual({ code: 'unreachable', message: 'Failed to fetch' })
    const controller = new AbortController()
    controller.abort()
    fetchMock.mockRejectedValue(new DOMException('aborted', 'AbortError'))
    await expect(request('/v1/models', { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
  })

  it.each([
    ['the envelope', refusal('invalid_pages', 'page 9 is not there'), 'invalid_pages', 'page 9 is not there'],
    ['an envelope without a code', { error: { message: 'm', type: 'api_error', code: null } }, 'api_error', 'm'],
    ['the infer paths', { code: 400, msg: 'no picture' }, 'http_400', 'no picture'],
    ['a proxy', '<html>Bad gateway</html>', 'http_400', 'HTTP 400'],
  ])('reads the failure of %s', async (_name, body, code, message) => {
    fetchMock.mockResolvedValue(new Response(typeof body === 'string' ? body : JSON.stringify(body), { status: 400, headers: { 'x-request-id': 'req_1' } }))
    expect(await failureFrom(request('/v1/models'))).toEqual({ code, message, status: 400, requestId: 'req_1' })
  })

  it('says so when an answer is no JSON', async () => {
    fetchMock.mockResolvedValue(new Response('<html>', { status: 200 }))
    expect((await failureFrom(getJson('/v1/models'))).code).toBe('bad_answer')
  })

  it('tells its watchers of failures until they stop listening', async () => {
    const heard: string[] = []
    const stop = watchFailures((failure, path) => heard.push(`${path} ${failure.status}`))
    fetchMock.mockImplementation(async () => json(refusal('model_not_ready', 'loading'), 503))
    await failureFrom(request('/v1/models'))
    stop()
    await failureFrom(request('/v1/models'))
    expect(heard).toEqual(['/v1/models 503'])
  })
})
