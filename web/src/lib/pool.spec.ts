import { describe, expect, it } from 'vitest'
import { pause, pooled } from './pool'

describe('a pool', () => {
  it('works on no more than it may at once, and on all', async () => {
    let running = 0
    let most = 0
    const seen: number[] = []
    const work = async (item: number) => {
      most = Math.max(most, ++running)
      await Promise.resolve()
      seen.push(item)
      running--
    }
    await pooled(Array.from({ length: 20 }, (_, at) => at), 3, work, new AbortController().signal)
    expect([most, seen.length]).toEqual([3, 20])
  })

  it('begins nothing more after an abort', async () => {
    const controller = new AbortController()
    const seen: number[] = []
    await pooled([1, 2, 3, 4], 1, async (item) => { seen.push(item); if (item === 2) controller.abort() }, controller.signal)
    expect(seen).toEqual([1, 2])
  })

  it('has pauses that an abort ends', async () => {
    const controller = new AbortController()
    const waiting = pause(60_000, controller.signal)
    controller.abort()
    await expect(waiting).rejects.toThrow('stopped')
  })
})
