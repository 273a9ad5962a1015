import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'
import { useRepeated } from './useRepeated'

let visible: DocumentVisibilityState = 'visible'
beforeEach(() => {
  vi.useFakeTimers()
  visible = 'visible'
  vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => visible)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

it('works at once and again, until its owner is gone', async () => {
  const work = vi.fn(async () => undefined)
  const scope = effectScope()
  scope.run(() => useRepeated(work, 1000))
  expect(work).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(2500)
  expect(work).toHaveBeenCalledTimes(3)
  scope.stop()
  await vi.advanceTimersByTimeAsync(5000)
  expect(work).toHaveBeenCalledTimes(3)
})

it('does not begin anew before the last one is done', async () => {
  let done = () => {}
  const work = vi.fn(() => new Promise<void>((resolve) => (done = resolve)))
  const scope = effectScope()
  scope.run(() => useRepeated(work, 1000))
  await vi.advanceTimersByTimeAsync(10_000)
  document.dispatchEvent(new Event('visibilitychange'))
  expect(work).toHaveBeenCalledTimes(1)
  done()
  await vi.advanceTimersByTimeAsync(1000)
  expect(work).toHaveBeenCalledTimes(2)
  scope.stop()
})

it('rests while it is not wanted or the page is hidden, and goes on at once afterwards', async () => {
  const work = vi.fn(async () => undefined)
  const wanted = ref(false)
  const scope = effectScope()
  scope.run(() => useRepeated(work, 1000, wanted))
  await vi.advanceTimersByTimeAsync(3000)
  expect(work).not.toHaveBeenCalled()
  wanted.value = true
  await nextTick()
  expect(work).toHaveBeenCalledTimes(1)
  visible = 'hidden'
  await vi.advanceTimersByTimeAsync(5000)
  expect(work).toHaveBeenCalledTimes(1)
  visible = 'visible'
  document.dispatchEvent(new Event('visibilitychange'))
  expect(work).toHaveBeenCalledTimes(2)
  scope.stop()
})
