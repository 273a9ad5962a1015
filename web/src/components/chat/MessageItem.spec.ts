import { afterEach, describe, expect, it, vi } from 'vitest'
import { nextTick, ref, shallowRef } from 'vue'
import { LIVE, WHY_NOT } from '@/composables/chat/acts'
import { SOON } from '@/fixtures/waiting'
import type { Message } from '@/types'
import MessageItem from './MessageItem.vue'
import { answer, question, settled, show } from './testing'

const item = (message: Message, change: object = {}, provide = {}) => show(MessageItem, { props: { message, ...settled, ...change }, global: { provide } })

afterEach(() => document.body.replaceChildren())

describe('a message', () => {
  it('that is an answer is shown as Markdown, with its boxes as buttons', async () => {
    const wrapper = item(answer())
    await vi.waitFor(() => expect(wrapper.find('strong').text()).toBe('cup'), SOON)
    await wrapper.find('[data-box]').trigger('click')
    expect(wrapper.emitted('activate-box')).toEqual([['a', 'b0']])
  })

  it('that is a question stands as it was typed', () => {
    const wrapper = item(question({ text: 'a **b**' }))
    expect(wrapper.find('.text').text()).toBe('a **b**')
    expect(wrapper.attributes('data-answer')).toBeUndefined()
  })

  it('far from the screen is plain text without buttons', () => {
    const wrapper = item(answer(), { near: false })
    expect(wrapper.text()).toBe('A **cup** at [10,20,30,40].')
    expect(wrapper.findAll('button')).toHaveLength(0)
  })

  it('that grows shows what has come, says that it is busy and offers nothing yet', async () => {
    const live = shallowRef<Message | null>(answer({ text: 'A' }))
    const wrapper = item(answer({ text: '' }), { state: 'live' }, { [LIVE as symbol]: live })
    live.value = answer({ text: 'A cup' })
    await vi.waitFor(() => expect(wrapper.text()).toBe('A cup'), SOON)
    expect(wrapper.attributes('aria-busy')).toBe('true')
    expect(wrapper.find('footer').exists()).toBe(false)
  })

  it('without a first word says that it is waited for', () => {
    expect(item(answer({ text: '', finish: undefined }), { state: 'live' }).text()).toBe('Waiting for the first word')
  })

  it('is edited where it stands, and sent as a branch of its own', async () => {
    const wrapper = item(question())
    await wrapper.find('[aria-label="Edit question"]').trigger('click')
    await wrapper.find('textarea').setValue('What is that?')
    await wrapper.find('form').trigger('submit')
    expect(wrapper.emitted('act')).toEqual([[{ do: 'edit', id: 'q', text: 'What is that?', attachments: [] }]])
    expect(wrapper.find('textarea').exists()).toBe(false)
  })

  it('is not sent while nothing can be asked, and waits in its field until something can', async () => {
    const whyNot = ref<string | null>('server.loading')
    const wrapper = item(question(), {}, { [WHY_NOT as symbol]: whyNot })
    await wrapper.find('[aria-label="Edit question"]').trigger('click')
    await wrapper.find('textarea').setValue('What is that?')
    await wrapper.find('form').trigger('submit')
    await wrapper.find('textarea').trigger('keydown', { key: 'Enter', ctrlKey: true })
    expect(wrapper.emitted('act')).toBeUndefined()
    expect(wrapper.find('[title="the model is still loading"]').attributes('disabled')).toBeDefined()
    whyNot.value = null
    await wrapper.find('form').trigger('submit')
    expect(wrapper.emitted('act')).toHaveLength(1)
  })

  it('that failed is not asked again while nothing can be asked', () => {
    const failed = answer({ finish: 'error', failure: { code: 'connection_lost', message: 'gone' } })
    const retry = item(failed, {}, { [WHY_NOT as symbol]: ref('busy') }).find('[role=alert] button')
    expect(retry.attributes('disabled')).toBeDefined()
    expect(retry.attributes('title')).toBe('an answer is being made')
  })

  it('that was cut off says why', () => {
    expect(item(answer({ finish: 'length' })).text()).toContain('Cut off: the answer reached its longest length.')
    expect(item(answer({ finish: undefined }), { state: 'interrupted' }).text()).toContain('Interrupted')
  })

  it('that failed keeps what had come and asks again on request', async () => {
    const wrapper = item(answer({ finish: 'error', failure: { code: 'connection_lost', message: 'gone' } }))
    await nextTick()
    expect(wrapper.find('[role=alert]').text()).toContain('The connection broke off')
    expect(wrapper.text()).toContain('cup')
    await wrapper.find('[role=alert] button').trigger('click')
    expect(wrapper.emitted('act')).toEqual([[{ do: 'regenerate', id: 'a' }]])
  })
})
