import { flushPromises, mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { expect, it } from 'vitest'
import { i18n } from '@/locales'
import type { Scene } from '@/lib/scenes/scenes'
import SceneDesk from './SceneDesk.vue'

const scene: Scene = {
  name: 'receipt', title: {}, description: {}, answer: 'json', fields: [], question: {}, translates: false,
  schema: {}, sample: 'receipt.png', show: {}, own: true,
}
const LOADING = 'the model is still loading'

async function desk(whyNot?: string) {
  const wrapper = mount(SceneDesk, {
    props: { scene, language: 'en', whyNot },
    global: { plugins: [createPinia(), i18n], stubs: { BatchTable: true, SheetOrPicture: true } },
  })
  const input = wrapper.get<HTMLInputElement>('input[type=file]')
  Object.defineProperty(input.element, 'files', { value: [new File(['a'], 'a.png'), new File(['b'], 'b.png')] })
  await input.trigger('change')
  await flushPromises()
  const isOff = (words: string) => wrapper.findAll('button').find((button) => button.text() === words)!.attributes('disabled') !== undefined
  return { wrapper, isOff }
}

it('asks nothing while the server cannot answer, and says why; files are taken all the same', async () => {
  const { wrapper, isOff } = await desk(LOADING)
  expect([isOff('Ask about 2 pictures'), isOff('Try the sample'), isOff('Choose files')]).toEqual([true, true, false])
  expect(wrapper.text()).toContain(LOADING)
  await wrapper.setProps({ whyNot: undefined })
  expect([isOff('Ask about 2 pictures'), isOff('Try the sample')]).toEqual([false, false])
  expect(wrapper.text()).not.toContain(LOADING)
})
