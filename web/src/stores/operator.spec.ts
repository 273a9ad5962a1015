import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { accessOf, useOperator } from './operator'
import { useSettings } from './settings'

function answering(status: number, body: unknown) {
  const asked = vi.fn(async () => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } }))
  vi.stubGlobal('fetch', asked)
  return asked
}
const error = (message: string) => ({ error: { message, type: 'x', param: null, code: 'x' } })

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
  setActivePinia(createPinia())
})
afterEach(() => vi.unstubAllGlobals())

describe('access', () => {
  const refusal = (status: number, message = '') => accessOf({ code: 'x', message, status }, true)

  it('tells a wrong key, a missing one, a user’s key and a server without one apart', () => {
    expect(refusal(401)).toBe('wrong')
    expect(accessOf({ code: 'x', message: '', status: 401 }, false)).toBe('needed')
    expect(refusal(403, 'for the operator alone; use the admin key.')).toBe('user')
    expect(refusal(403, 'for the operator alone; start the server with --admin-key.')).toBe('none')
  })

  it('is not what other failures are about', () => expect(refusal(503)).toBeNull())
})

describe('the operator’s store', () => {
  it('needs a key before it asks for anything', () => expect(useOperator().access).toBe('needed'))

  it('keeps the status and is open once the server answers', async () => {
    answering(200, { status: 'ok' })
    const operator = useOperator()
    expect(await operator.loadStatus()).toBe(true)
    expect(operator.access).toBe('open')
    expect(operator.status).toEqual({ status: 'ok' })
  })

  it('keeps a failure that is not about the key, and what was known before', async () => {
    const operator = useOperator()
    answering(200, { requests: [] })
    await operator.loadRequests()
    answering(500, error('broken'))
    expect(await operator.loadRequests()).toBe(false)
    expect(operator.failure?.message).toBe('broken')
    expect(operator.requests).toEqual([])
    expect(operator.access).toBe('open')
  })

  it('forgets what it saw with the key', async () => {
    const settings = useSettings()
    settings.adminKey = 'operator'
    const operator = useOperator()
    answering(200, { status: 'ok' })
    await operator.loadStatus()
    settings.adminKey = null
    await nextTick()
    expect([operator.status, operator.access]).toEqual([null, 'needed'])
  })

  it('tells when a request could not be ended, and looks at the list again', async () => {
    const asked = answering(404, error('it may be over'))
    expect((await useOperator().end('req_1'))?.message).toBe('it may be over')
    expect(asked).toHaveBeenCalledTimes(2)
  })
})
