import { afterEach, expect, it } from 'vitest'
import type { Attachment } from '@/types'
import MessagePictures from './MessagePictures.vue'
import { show } from './testing'

afterEach(() => document.body.replaceChildren())

it('shows a card with the name in the place of a picture that this browser cannot decode', async () => {
  const photo: Attachment = { id: 'p', kind: 'image', name: 'IMG_0001.HEIC', blob: new Blob(['photo']) }
  const wrapper = show(MessagePictures, { props: { attachments: [photo] } })
  await wrapper.find('img').trigger('error')
  expect(wrapper.find('img').exists()).toBe(false)
  expect(wrapper.find('button').exists()).toBe(false)
  expect(wrapper.text()).toContain('IMG_0001.HEIC')
})
