import { mount } from '@vue/test-utils'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { i18n } from '@/locales'
import type { Failure } from '@/types'
import FailureNote from './FailureNote.vue'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const busy: Failure = { code: 'server_is_overloaded', message: 'full', status: 503 }
const note = (failure: Failure) => mount(FailureNote, { props: { failure }, global: { plugins: [i18n] } })

it('lets try again at once where the server did not say when', async () => {
  const wrapper = note(busy)
  await wrapper.get('button').trigger('click')
  expect(wrapper.emitted('retry')).toHaveLength(1)
})

it('counts down to when the server said, and lets try again then', async () => {
  const wrapper = note({ ...busy, retryAt: Date.now() + 2500 })
  const button = wrapper.get('button')
  expect(button.text()).toContain('3 s')
  await button.trigger('click')
  expect(wrapper.emitted('retry')).toBeUndefined()
  await vi.advanceTimersByTimeAsync(1500)
  expect(button.text()).toContain('1 s')
  await vi.advanceTimersByTimeAsync(1000)
  expect(button.attributes('disabled')).toBeUndefined()
  await button.trigger('click')
  expect(wrapper.emitted('retry')).toHaveLength(1)
})

it('does not wait once more for a failure that is read again later', () => {
  expect(note({ ...busy, retryAt: Date.now() - 60_000 }).get('button').attributes('disabled')).toBeUndefined()
})
