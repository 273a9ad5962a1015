import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { i18n } from '@/locales'
import { useKeyDesk } from '@/stores/keyDesk'
import { useSettings } from '@/stores/settings'
import LiveTab from './LiveTab.vue'

let wrapper: ReturnType<typeof mount>

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
  setActivePinia(createPinia())
  vi.stubGlobal('fetch', async (_path: string, init: RequestInit) => {
    const known = ['Bearer user', 'Bearer operator'].includes(new Headers(init.headers).get('authorization') ?? '')
    return known ? new Response('# nothing yet\n') : new Response(JSON.stringify({ error: { message: 'no key', code: 'invalid_api_key' } }), { status: 401 })
  })
})
afterEach(() => {
  wrapper.unmount()
  vi.unstubAllGlobals()
})

async function tab() {
  const desk = useKeyDesk()
  wrapper = mount(LiveTab, { global: { plugins: [i18n], stubs: { ChartCard: true } } })
  await flushPromises()
  return desk
}

it('says that a key is wanted, without a dialog that nobody asked for, and offers to enter it', async () => {
  const desk = await tab()
  expect(wrapper.text()).toContain('A key is needed')
  expect(wrapper.text()).not.toContain('Gathering')
  expect(desk.question).toBeNull()
  await wrapper.get('button').trigger('click')
  expect(desk.question?.kind).toBe('user')
  desk.give('user', 'tab')
  await flushPromises()
  expect(wrapper.text()).not.toContain('A key is needed')
})

it('goes on by itself with a key that was given elsewhere, such as the operator’s', async () => {
  await tab()
  expect(wrapper.text()).toContain('A key is needed')
  useSettings().adminKey = 'operator'
  await flushPromises()
  expect(wrapper.text()).not.toContain('A key is needed')
})
