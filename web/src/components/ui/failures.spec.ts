import { describe, expect, it } from 'vitest'
import { i18n } from '@/locales'
import type { Failure } from '@/types'
import { wordsOf } from './failures'

const { t, te } = i18n.global
const words = (failure: Failure) => wordsOf(failure, (key) => t(key), (key) => te(key))

describe('wordsOf', () => {
  it('has a cause and a next step for a code it knows, with the words of the server beside', () => {
    expect(words({ code: 'unreachable', message: 'Failed to fetch' })).toEqual({
      cause: 'The server does not answer',
      detail: 'Failed to fetch',
      hint: expect.stringContaining('Check that it is running'),
    })
  })

  it.each([
    [429, 'Too many requests'],
    [400, 'The server refused the request'],
    [418, 'The server refused the request'],
    [500, 'The server made a mistake'],
    [undefined, 'That did not work'],
  ])('falls back upon status %s', (status, cause) => {
    expect(words({ code: 'something_new', message: 'm', status }).cause).toBe(cause)
  })

  it('prefers the hint that came with the failure', () => {
    expect(words({ code: 'x', message: 'm', hint: 'turn it off and on' }).hint).toBe('turn it off and on')
  })

  it('is not led astray by a code that looks like a path', () => {
    expect(words({ code: 'unreachable.cause', message: 'm', status: 404 }).cause).toBe('Not found')
  })
})
