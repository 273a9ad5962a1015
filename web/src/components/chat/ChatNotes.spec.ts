import { expect, it } from 'vitest'
import ChatNotes from './ChatNotes.vue'
import { show } from './testing'

const notes = (unsent: number) => show(ChatNotes, { props: { failure: null, removed: null, unsent, most: 256 } })

it('a conversation that the server takes as a whole has no note', () => {
  expect(notes(0).text()).toBe('')
})

it('of one that is too long it is told how much is not sent, and a new one is offered', async () => {
  const wrapper = notes(3)
  expect(wrapper.find('[role=status]').text()).toContain('its 3 oldest messages are not sent any more')
  expect(notes(1).text()).toContain('its oldest message is not sent any more')
  await wrapper.find('button').trigger('click')
  expect(wrapper.emitted('new')).toHaveLength(1)
})
