import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { read, readJson, write } from './stored'

beforeEach(() => localStorage.clear())
afterEach(() => vi.unstubAllGlobals())

it('what is kept is there again, under a name that says whose it is', () => {
  expect(write('browser', 'a', '{"b":1}')).toBe(true)
  expect(readJson('browser', 'a')).toEqual({ b: 1 })
  expect(localStorage.getItem('flashweb.a')).toBe('{"b":1}')
  expect(write('browser', 'a', null)).toBe(true)
  expect([read('browser', 'a'), readJson('browser', 'a'), localStorage.length]).toEqual([null, null, 0])
})

it('what is no JSON is nothing', () => {
  write('browser', 'a', 'not JSON')
  expect(readJson('browser', 'a')).toBeNull()
})

it('where storage is full it says that nothing was kept', () => {
  vi.stubGlobal('localStorage', { setItem: () => { throw new Error('quota') } })
  expect(write('browser', 'a', '1')).toBe(false)
})

it('where storage is forbidden nothing is there, and nothing breaks', () => {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'localStorage')!
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: () => { throw new DOMException('denied', 'SecurityError') } })
  try {
    expect([read('browser', 'a'), readJson('browser', 'a'), write('browser', 'a', '1')]).toEqual([null, null, false])
  } finally {
    Object.defineProperty(globalThis, 'localStorage', descriptor)
  }
})
