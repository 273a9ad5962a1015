import { mount } from '@vue/test-utils'
import { expect, it } from 'vitest'
import { i18n } from '@/locales'
import type { Attachment } from '@/types'
import AttachmentTile from './AttachmentTile.vue'

const tile = (item: Attachment) => mount(AttachmentTile, { props: { item, index: 1, count: 3 }, global: { plugins: [i18n] } })
const picture: Attachment = { id: 'a', kind: 'image', name: 'a.png', blob: new Blob([], { type: 'image/png' }), width: 4, height: 4 }
const photo: Attachment = { id: 'b', kind: 'image', name: 'IMG_0001.HEIC', blob: new Blob(['photo']) }

it('opens a picture that can be edited by its preview', async () => {
  const wrapper = tile(picture)
  await wrapper.get('button.preview').trigger('click')
  expect(wrapper.emitted('open')).toHaveLength(1)
})

it.each([photo, { ...photo, kind: 'pdf', name: 'a.pdf' } as const])('has no button that does nothing: the preview of $name is none', (item) => {
  const wrapper = tile(item)
  expect(wrapper.find('.preview').element.tagName).not.toBe('BUTTON')
  expect(wrapper.find('.preview').attributes('title')).toBe(item.name)
})

it.each([picture, photo])('moves $name with Alt and arrows and removes it with Delete, wherever its buttons have the focus', async (item) => {
  const wrapper = tile(item)
  await wrapper.get('button').trigger('keydown', { key: 'ArrowLeft', altKey: true })
  await wrapper.get('.tools button').trigger('keydown', { key: 'Delete' })
  expect(wrapper.emitted()).toMatchObject({ move: [[1, 0]], remove: [[]] })
})
