import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { expect, it, vi } from 'vitest'
import { health } from '@/api/server'
import { i18n } from '@/locales'
import { useServer } from '@/stores/server'
import CompareView from './CompareView.vue'

vi.mock('@/api/server', () => ({ health: vi.fn(), gaveUp: async () => false, listModels: async () => ({ names: [], maxModelLen: null, defaults: null, limits: null }), serverVersion: async () => '' }))

async function isAnswered(by: 'loading' | 'ok' | null): Promise<void> {
  vi.mocked(health).mockResolvedValue(by && { status: by, model_loaded: by === 'ok', model: 'nano' })
  await useServer().check()
  await flushPromises()
}

it('asks nothing while the server cannot answer, and says why', async () => {
  setActivePinia(createPinia())
  const wrapper = mount(CompareView, { global: { plugins: [i18n] } })
  const isOff = (words: string) => wrapper.findAll('button').filter((button) => button.text() === words).map((button) => button.element.disabled)
  await wrapper.get('textarea').setValue('list the amounts')
  for (const [by, why] of [['loading', 'the model is still loading'], [null, 'the server cannot be reached']] as const) {
    await isAnswered(by)
    expect([...isOff('Ask both'), ...isOff('Ask again')]).toEqual([true, true, true])
    expect(wrapper.text()).toContain(`Nothing can be asked now: ${why}.`)
    expect(wrapper.findAll(`button[title*="${why}"]`)).toHaveLength(3)
  }
  await isAnswered('ok')
  expect([...isOff('Ask both'), ...isOff('Ask again')]).toEqual([false, false, false])
  expect(wrapper.text()).not.toContain('Nothing can be asked now')
  await wrapper.get('textarea').setValue('')
  expect(isOff('Ask both')).toEqual([true])
  expect(wrapper.text()).toContain('write a question first')
})
