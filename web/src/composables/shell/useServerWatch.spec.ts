import { expect, it } from 'vitest'
import { pauseFor } from './useServerWatch'
import { stageOf } from './useServerNotice'

it('looks often while loading, seldom when ready, more and more seldom when nobody answers', () => {
  expect(pauseFor('loading', 0)).toBeLessThanOrEqual(2_000)
  expect(pauseFor('ready', 0)).toBeGreaterThanOrEqual(15_000)
  const lost = [1, 2, 3, 50].map((misses) => pauseFor('unreachable', misses))
  expect(lost).toEqual([...lost].sort((a, b) => a - b))
  expect(lost[3]).toBe(15_000)
})

it('knows the stages of loading, and none where the server names none', () => {
  expect(stageOf('weights')).toEqual({ step: 2, steps: 4, name: 'weights' })
  expect(stageOf('warming up')?.name).toBe('warmup')
  expect(stageOf('')).toBeNull()
  expect(stageOf('restarting')).toBeNull()
})
