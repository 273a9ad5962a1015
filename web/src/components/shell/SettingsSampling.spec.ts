import { mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'
import { i18n } from '@/locales'
import { useServer } from '@/stores/server'
import { useSettings } from '@/stores/settings'
import SettingsSampling from './SettingsSampling.vue'

beforeEach(() => {
  localStorage.clear()
  setActivePinia(createPinia())
})

const panel = () => mount(SettingsSampling, { global: { plugins: [i18n] }, attachTo: document.body })
type Panel = ReturnType<typeof panel>

function field(wrapper: Panel, label: string) {
  const found = wrapper.findAll('label').find((element) => element.text() === label)
  return wrapper.get(`[id="${found?.attributes('for')}"]`)
}

describe('SettingsSampling', () => {
  it('keeps a number, and gives it back to the server when it is reset', async () => {
    const wrapper = panel()
    await field(wrapper, 'Temperature').setValue('0,7')
    expect(useSettings().sampling).toEqual({ temperature: 0.7 })
    await wrapper.get('[aria-label="Temperature: the server\'s default"]').trigger('click')
    expect(useSettings().sampling).toEqual({})
    expect((field(wrapper, 'Temperature').element as HTMLInputElement).value).toBe('')
  })

  it('shows what the server does by itself, once that is known', async () => {
    const server = useServer()
    const wrapper = panel()
    const shown = (label: string) => field(wrapper, label).attributes('placeholder')
    expect(shown('Temperature')).toBe("the model's own")
    server.defaults = { temperature: 0.8, top_p: 0.6, top_k: 2, min_p: 0, repetition_penalty: 1.1, max_tokens: 512, max_tokens_long: 4096 }
    await wrapper.vm.$nextTick()
    expect([shown('Temperature'), shown('Repetition penalty'), shown('Longest answer'), shown('Seed')]).toEqual([
      "0.8 (the model's own)", "1.1 (the model's own)", '512, or 4096', 'random',
    ])
  })

  it.each([
    ['Temperature', '3', 'A number from 0 to 2.'],
    ['Top k', '1.5', 'A whole number from 0'],
    ['Seed', 'abc', 'A whole number'],
  ])('says what is wrong with %s %s, and keeps none of it', async (label, text, words) => {
    const wrapper = panel()
    await field(wrapper, label).setValue(text)
    expect(field(wrapper, label).attributes('aria-invalid')).toBe('true')
    expect(wrapper.get('[role="alert"]').text()).toContain(words)
    expect(useSettings().sampling).toEqual({})
  })

  it('lets one type a number with a point, digit by digit', async () => {
    const wrapper = panel()
    for (const text of ['0', '0.', '0.5', '0.50']) await field(wrapper, 'Top p').setValue(text)
    expect((field(wrapper, 'Top p').element as HTMLInputElement).value).toBe('0.50')
    expect(useSettings().sampling).toEqual({ top_p: 0.5 })
  })

  it('takes stop texts by lines and resets all at once', async () => {
    const wrapper = panel()
    await field(wrapper, 'Stop texts').setValue('END\n\\n')
    await field(wrapper, 'Seed').setValue('7')
    expect(useSettings().sampling).toEqual({ stop: ['END', '\n'], seed: 7 })
    await wrapper.findAll('button').find((button) => button.text() === 'Reset all')?.trigger('click')
    expect(useSettings().sampling).toEqual({})
    expect((field(wrapper, 'Stop texts').element as HTMLTextAreaElement).value).toBe('')
  })
})
