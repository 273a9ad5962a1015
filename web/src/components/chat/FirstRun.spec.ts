import { afterEach, describe, expect, it } from 'vitest'
import FirstRun from './FirstRun.vue'
import { show } from './testing'

const sample = { file: 'receipt.png', words: 'amounts', blob: new Blob(['x'], { type: 'image/png' }), width: 10, height: 20 }
const first = (props: object) => show(FirstRun, { props: { samples: [sample], ...props } })

afterEach(() => document.body.replaceChildren())

describe('the first look at the page', () => {
  it('asks a sample its question at one click', async () => {
    const wrapper = first({})
    expect(wrapper.find('.card').text()).toContain('Read a receipt')
    await wrapper.find('.card').trigger('click')
    expect(wrapper.emitted('ask')).toEqual([[sample, 'list the amounts']])
  })

  it('asks nothing while nothing can be sent', async () => {
    const wrapper = first({ disabled: true })
    expect(wrapper.find('.card').attributes('disabled')).toBeDefined()
    await wrapper.find('.card').trigger('click')
    expect(wrapper.emitted('ask')).toBeUndefined()
  })

  it('does without samples that the server has not', () => {
    const wrapper = first({ samples: [] })
    expect(wrapper.findAll('.card')).toHaveLength(0)
    expect(wrapper.text()).not.toContain('begin with one of these')
  })
})
