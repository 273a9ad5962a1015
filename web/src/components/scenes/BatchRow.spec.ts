import { mount } from '@vue/test-utils'
import { expect, it } from 'vitest'
import type { SceneItem } from '@/composables/scenes/useSceneBatch'
import type { Scene } from '@/lib/scenes/scenes'
import { i18n } from '@/locales'
import BatchRow from './BatchRow.vue'

const scene = { name: 'audit', show: {}, schema: {} } as Scene
function row(name: string, more: Partial<SceneItem> = {}) {
  const item: SceneItem = { id: 1, file: new File(['x'], name), state: 'waiting', decisions: {}, places: {}, ...more }
  return mount(BatchRow, { props: { scene, item, language: 'en', chosen: false }, global: { plugins: [i18n] } })
}

it('a PDF can be given its password, a picture has none', async () => {
  const pdf = row('Contract.PDF')
  await pdf.find('[aria-label="Password of Contract.PDF"]').trigger('click')
  expect(pdf.emitted('password')).toHaveLength(1)
  expect(row('photo.png').findAll('button').map((button) => button.attributes('aria-label'))).toEqual([undefined, 'Remove photo.png'])
})

it('that a password was given is told, the password is not', () => {
  const wrapper = row('a.pdf', { password: 's3cret' })
  expect(wrapper.text()).toContain('A password was given')
  expect(wrapper.html()).not.toContain('s3cret')
})
