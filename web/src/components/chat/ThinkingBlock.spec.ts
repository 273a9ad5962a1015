import { afterEach, describe, expect, it } from 'vitest'
import { show } from './testing'
import ThinkingBlock from './ThinkingBlock.vue'

const block = (props: object) => show(ThinkingBlock, { props: { text: 'First I look.', running: false, ...props } })

afterEach(() => document.body.replaceChildren())

describe('a thought', () => {
  it('is closed at first and is all there when it is opened', () => {
    const wrapper = block({})
    expect(wrapper.find('details').attributes('open')).toBeUndefined()
    expect(wrapper.find('.thought').text()).toBe('First I look.')
  })

  it('says that it goes on, and afterwards how long it took', async () => {
    const wrapper = block({ running: true, ms: 1200 })
    expect(wrapper.find('summary').text()).toBe('Thinking')
    await wrapper.setProps({ running: false })
    expect(wrapper.find('summary').text()).toBe('Thought for 1.2 s')
  })

  it('says no time where none was measured, such as after an import', () => {
    expect(block({}).find('summary').text()).toBe('Thought')
  })

  it('shows its newest line while it grows', async () => {
    const wrapper = block({ running: true })
    const body = wrapper.find<HTMLElement>('.thought').element
    Object.defineProperty(body, 'scrollHeight', { value: 500 })
    await wrapper.setProps({ text: 'First I look.\nThen I count.' })
    expect(body.scrollTop).toBe(500)
  })

  it('is text, whatever it says', () => {
    expect(block({ text: '<img src=x onerror=alert(1)>' }).find('img').exists()).toBe(false)
  })
})
