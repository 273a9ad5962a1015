import { afterEach, describe, expect, it } from 'vitest'
import { nextTick, ref } from 'vue'
import { WHY_NOT } from '@/composables/chat/acts'
import type { Message } from '@/types'
import MessageActions from './MessageActions.vue'
import { answer, question, show } from './testing'

const actions = (message: Message, whyNot: string | null = null) => show(MessageActions, { props: { message }, global: { provide: { [WHY_NOT as symbol]: ref(whyNot) } } })
const labels = (wrapper: ReturnType<typeof actions>) => wrapper.findAll('button').map((button) => button.attributes('aria-label') ?? button.text())

async function menu(wrapper: ReturnType<typeof actions>): Promise<HTMLElement[]> {
  await wrapper.find('[aria-label=More]').trigger('pointerdown', { button: 0, ctrlKey: false })
  await wrapper.find('[aria-label=More]').trigger('click')
  await nextTick()
  return [...document.querySelectorAll<HTMLElement>('[role=menuitem]')]
}

afterEach(() => document.body.replaceChildren())

describe('what can be done at a message', () => {
  it('is to copy and edit a question', () => {
    expect(labels(actions(question()))).toEqual(['Copy', 'Edit question', 'More'])
  })

  it('is to copy an answer and to ask again', async () => {
    const wrapper = actions(answer())
    expect(labels(wrapper)).toEqual(['Copy', 'Answer again', 'More'])
    await wrapper.find('[aria-label="Answer again"]').trigger('click')
    expect(wrapper.emitted('act')).toEqual([['regenerate']])
  })

  it('is to continue what was cut off, but not what was finished', () => {
    expect(labels(actions(answer({ finish: 'length' })))[0]).toBe('Continue')
    expect(labels(actions(answer()))).not.toContain('Continue')
  })

  it('leaves out what would disturb an answer that is being made', () => {
    const wrapper = actions(answer({ finish: 'length' }), 'busy')
    expect(labels(wrapper)).toEqual(['Copy', 'More'])
    expect(actions(question(), 'busy').find('[aria-label^="Edit question"]').attributes('disabled')).toBeDefined()
  })

  it('asks nothing of a server that is not there, and says why', () => {
    const wrapper = actions(answer({ finish: 'length' }), 'server.unreachable')
    const [goOn, copy, again] = wrapper.findAll('button')
    expect([goOn, copy, again].map((button) => button?.attributes('disabled') !== undefined)).toEqual([true, false, true])
    expect(goOn?.attributes('title')).toBe('the server cannot be reached')
    expect(again?.attributes('aria-label')).toBe('Answer again: the server cannot be reached')
    expect(actions(question(), 'server.unreachable').find('[aria-label="Edit question"]').attributes('disabled')).toBeUndefined()
  })

  it('has code and the comparison of settings in the menu of an answer that keeps its request', async () => {
    const wrapper = actions(answer())
    const items = await menu(wrapper)
    expect(items.map((item) => item.textContent?.trim())).toEqual(['View as code', 'Compare settings', 'Delete'])
    items[1]?.click()
    await nextTick()
    expect(wrapper.emitted('act')).toEqual([['compare']])
  })

  it('has neither where it keeps none, such as after an import', async () => {
    expect((await menu(actions(answer({ request: undefined })))).map((item) => item.textContent?.trim())).toEqual(['Delete'])
  })
})
