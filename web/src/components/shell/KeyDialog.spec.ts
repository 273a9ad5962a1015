import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { i18n } from '@/locales'
import { useKeyDesk } from '@/stores/keyDesk'
import { useSettings } from '@/stores/settings'
import KeyDialog from './KeyDialog.vue'

const refused = { code: 'invalid_api_key', message: 'needs a key', status: 401 }
let wrapper: ReturnType<typeof mount>

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
  setActivePinia(createPinia())
  wrapper = mount(KeyDialog, { global: { plugins: [i18n] }, attachTo: document.body })
  vi.stubGlobal('fetch', async (_path: string, init: RequestInit) => {
    const right = new Headers(init.headers).get('authorization') === 'Bearer right'
    return new Response(JSON.stringify({ error: { message: 'unknown', code: 'invalid_api_key' } }), { status: right ? 200 : 401 })
  })
})
afterEach(() => {
  wrapper.unmount()
  vi.unstubAllGlobals()
})

const dialog = () => document.querySelector<HTMLElement>('[role="dialog"]')

async function enter(text: string) {
  const input = dialog()?.querySelector<HTMLInputElement>('input[type="password"]')
  if (!input) throw new Error('no field for the key')
  input.value = text
  input.dispatchEvent(new Event('input'))
  dialog()?.querySelector('form')?.dispatchEvent(new Event('submit', { cancelable: true }))
  await flushPromises()
}

describe('KeyDialog', () => {
  it('is not there until somebody needs a key', () => expect(dialog()).toBeNull())

  it('tells a wrong key at once, keeps the right one in the tab, and lets the request go on', async () => {
    const waiting = useKeyDesk().ask('user', refused)
    await flushPromises()
    await enter('wrong')
    expect(dialog()?.textContent).toContain('The server does not know this key')
    expect(useSettings().apiKey).toBeNull()
    await enter('right')
    expect(await waiting).toBe('right')
    expect(sessionStorage.getItem('flashweb.api-key')).toBe('right')
    expect(localStorage.getItem('flashweb.api-key')).toBeNull()
  })

  it('says why it asks again, for the operator in other words', async () => {
    useSettings().adminKey = 'old'
    void useKeyDesk().ask('admin', refused)
    await flushPromises()
    expect(dialog()?.textContent).toContain('This is for the operator')
    expect(dialog()?.textContent).toContain('no longer takes the admin key')
  })

  it('lets the request fail when it is closed', async () => {
    const waiting = useKeyDesk().ask('user', refused)
    await flushPromises()
    dialog()?.querySelector<HTMLElement>('[aria-label="Close"]')?.click()
    expect(await waiting).toBeNull()
  })
})
