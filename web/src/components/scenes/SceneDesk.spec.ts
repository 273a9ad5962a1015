import { flushPromises, mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, expect, it, vi } from 'vitest'
import PasswordDialog from '@/components/composer/PasswordDialog.vue'
import { i18n } from '@/locales'
import type { Scene } from '@/lib/scenes/scenes'
import BatchTable from './BatchTable.vue'
import SceneDesk from './SceneDesk.vue'

const scene: Scene = {
  name: 'receipt', title: {}, description: {}, answer: 'json', fields: [], question: {}, translates: false,
  schema: {}, sample: 'receipt.png', show: {}, own: true,
}
const LOADING = 'the model is still loading'

afterEach(() => vi.unstubAllGlobals())

async function desk(whyNot?: string, names = ['a.png', 'b.png']) {
  const wrapper = mount(SceneDesk, {
    props: { scene, language: 'en', whyNot },
    global: { plugins: [createPinia(), i18n], stubs: { BatchTable: true, PasswordDialog: true, SheetOrPicture: true } },
  })
  const input = wrapper.get<HTMLInputElement>('input[type=file]')
  Object.defineProperty(input.element, 'files', { value: names.map((name) => new File(['a'], name)) })
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

/** Two PDFs that were asked about without their passwords. */
async function lockedDesk() {
  const fetched = vi.fn(async () => Response.json({ error: { message: 'it is encrypted', code: 'encrypted_document' } }, { status: 400 }))
  vi.stubGlobal('fetch', fetched)
  const { wrapper, isOff } = await desk(undefined, ['a.pdf', 'b.pdf'])
  await wrapper.findAll('button').find((button) => button.text() === 'Ask about 2 pictures')!.trigger('click')
  await vi.waitFor(() => expect(wrapper.text()).toContain('The PDF is locked'))
  await flushPromises()
  return { wrapper, isOff, fetched }
}

it('keeps a password that is given while the server cannot be reached, and asks with it later', async () => {
  const { wrapper, isOff, fetched } = await lockedDesk()
  await wrapper.setProps({ whyNot: 'the server cannot be reached' })
  const table = wrapper.getComponent(BatchTable)
  table.vm.$emit('password', table.props('items')[0]!)
  await flushPromises()
  wrapper.getComponent(PasswordDialog).vm.$emit('done', 's3cret')
  await flushPromises()
  expect(fetched).toHaveBeenCalledTimes(2)
  expect(wrapper.text()).not.toContain('The PDF is locked')
  expect(wrapper.text()).toContain('the server cannot be reached')
  expect(isOff('Ask about one picture')).toBe(true)
  await wrapper.setProps({ whyNot: undefined })
  expect(table.props('items')[0]).toMatchObject({ state: 'waiting', password: 's3cret' })
})

it('shows a password that is being typed for one file at no other', async () => {
  const { wrapper } = await lockedDesk()
  await wrapper.get('input[type=password]').setValue('s3cret')
  await wrapper.get('[aria-label="Next picture"]').trigger('click')
  expect(wrapper.get<HTMLInputElement>('input[type=password]').element.value).toBe('')
})
