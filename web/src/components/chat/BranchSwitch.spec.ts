import { afterEach, describe, expect, it } from 'vitest'
import BranchSwitch from './BranchSwitch.vue'
import { show } from './testing'

const middle = { index: 1, count: 3, previous: 'one', next: 'three' }
const branches = (place: object) => show(BranchSwitch, { props: { place } })

afterEach(() => document.body.replaceChildren())

describe('the branches of a message', () => {
  it('tell which one is shown, counted from one', () => {
    expect(branches(middle).text()).toBe('2 / 3')
  })

  it('are turned by buttons and by arrow keys', async () => {
    const wrapper = branches(middle)
    await wrapper.find('[aria-label="Previous branch"]').trigger('click')
    await wrapper.find('[aria-label="Next branch"]').trigger('click')
    await wrapper.trigger('keydown', { key: 'ArrowLeft' })
    await wrapper.trigger('keydown', { key: 'ArrowRight' })
    expect(wrapper.emitted('show')).toEqual([['one'], ['three'], ['one'], ['three']])
  })

  it('end at the first and at the last', async () => {
    const wrapper = branches({ index: 0, count: 2, previous: null, next: 'two' })
    expect(wrapper.find('[aria-label="Previous branch"]').attributes('disabled')).toBeDefined()
    await wrapper.trigger('keydown', { key: 'ArrowLeft' })
    expect(wrapper.emitted('show')).toBeUndefined()
  })
})
