import { afterEach, expect, it, vi } from 'vitest'
import { cleanKey, useKeyEntry } from './useKeyEntry'

afterEach(() => vi.unstubAllGlobals())

it('takes a key out of what a paste brings along', () => {
  expect([' sk-1\n', 'Bearer sk-1', '"sk-1"', "  'sk-1' "].map(cleanKey)).toEqual(['sk-1', 'sk-1', 'sk-1', 'sk-1'])
})

it.each([
  ['', 200, 'empty'],
  ['two words', 200, 'impossible'],
  ['ｆｕｌｌ', 200, 'impossible'],
  ['wrong', 401, 'unknown'],
  ['users', 403, 'notOperator'],
  ['sk-1', 500, 'other'],
])('tells what is wrong with %j when the server says %i', async (text, status, problem) => {
  vi.stubGlobal('fetch', async () => new Response(JSON.stringify({ error: { message: 'said', code: 'c' } }), { status }))
  const entry = useKeyEntry()
  entry.text.value = text
  expect(await entry.check('admin')).toBeNull()
  expect(entry.problem.value).toBe(problem)
  expect(entry.busy.value).toBe(false)
})

it('hands on the key that the server takes, tried at the door it is for', async () => {
  const fetched = vi.fn(async (_path: string, _init: RequestInit) => new Response('{}'))
  vi.stubGlobal('fetch', fetched)
  const entry = useKeyEntry()
  entry.text.value = ' good '
  expect(await entry.check('user')).toBe('good')
  expect(fetched.mock.calls[0]?.[0]).toBe('/v1/models')
  expect(fetched.mock.calls[0]?.[1].headers).toEqual({ authorization: 'Bearer good' })
})
