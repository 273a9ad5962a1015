import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { i18n } from '@/locales'
import { useSettings } from '@/stores/settings'
import type { Attachment } from '@/types'
import ComposerBar from './ComposerBar.vue'

beforeEach(() => {
  localStorage.clear()
  setActivePinia(createPinia())
  // No server answers: costs are then guessed, and its state stays "being looked for", in which sending is allowed.
  vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('no server')))
})
afterEach(() => vi.unstubAllGlobals())

function bar(text: string, busy = false) {
  const wrapper = mount(ComposerBar, {
    attachTo: document.body,
    props: { text, attachments: [] as Attachment[], busy, draftKey: 'a' },
    global: { plugins: [i18n] },
  })
  const press = (init: Record<string, unknown> = {}) => wrapper.get('textarea').trigger('keydown', { key: 'Enter', ...init })
  return { wrapper, press, sent: () => wrapper.emitted('send')?.length ?? 0 }
}

describe('the composer', () => {
  it('sends with Enter and with its button, following the chosen preset', async () => {
    const { wrapper, press, sent } = bar('What is this?')
    await press()
    await wrapper.get('button.primary').trigger('click')
    expect(sent()).toBe(2)
    useSettings().sendKeys = 'ctrl-enter'
    await wrapper.vm.$nextTick()
    await press()
    expect(sent()).toBe(2)
    await press({ ctrlKey: true })
    expect(sent()).toBe(3)
  })

  it('sends nothing while there is nothing, and says why', async () => {
    const { wrapper, press, sent } = bar('  \n')
    await press()
    expect(sent()).toBe(0)
    expect(wrapper.get('button.primary').attributes('disabled')).toBeDefined()
    expect(wrapper.get('button.primary').attributes('aria-label')).toContain('write a question')
  })

  it('stops instead of sending while an answer is made', async () => {
    const { wrapper, press, sent } = bar('next', true)
    await press()
    expect(sent()).toBe(0)
    await wrapper.get('[aria-label="Stop the answer"]').trigger('click')
    expect(wrapper.emitted('stop')).toHaveLength(1)
  })

  it('takes a prompt with Enter after a slash, without sending', async () => {
    const { wrapper, press, sent } = bar('/amounts')
    await press()
    expect(sent()).toBe(0)
    expect(wrapper.emitted('update:text')![0]![0]).toMatch(/^List all amounts/)
  })

  it('keeps a pasted long text a text', async () => {
    const { wrapper } = bar('')
    const long = 'line\n'.repeat(5000)
    await wrapper.get('textarea').setValue(long)
    expect(wrapper.emitted('update:text')!.at(-1)![0]).toBe(long)
    expect(wrapper.emitted('update:attachments')).toBeUndefined()
  })
})
