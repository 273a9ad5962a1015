import { mount } from '@vue/test-utils'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { findBoxes } from '@/lib/boxes/boxes'
import { settled } from '@/fixtures/waiting'
import { i18n, speak } from '@/locales'
import MarkdownView from './MarkdownView.vue'

const show = (props: InstanceType<typeof MarkdownView>['$props']) => mount(MarkdownView, { props, global: { plugins: [i18n] }, attachTo: document.body })

afterEach(() => document.body.replaceChildren())

describe('MarkdownView', () => {
  it('keeps the nodes of finished blocks while the answer grows', async () => {
    const view = show({ text: 'one **two**\n\nthree', streaming: true })
    const first = view.element.querySelector('strong')
    await view.setProps({ text: 'one **two**\n\nthree four\n\n- five' })
    await settled()
    expect(view.text()).toContain('five')
    expect(view.element.querySelector('strong')).toBe(first)
    await view.setProps({ streaming: false })
    expect(view.element.querySelector('strong')).toBe(first)
  })

  it('shows the whole answer at once when it ends', async () => {
    const view = show({ text: 'a', streaming: true })
    await view.setProps({ text: 'a **b', streaming: true })
    await view.setProps({ text: 'a **b** c', streaming: false })
    expect(view.text()).toBe('a b c')
  })

  it('says which box is meant: by click, by focus, and by its row', async () => {
    const text = '- cup [1,20,30,40]\n- plate [5,60,70,80]'
    const view = show({ text, boxes: findBoxes(text) })
    await view.findAll('[data-box]')[1]?.trigger('click')
    await view.findAll('[data-box]')[0]?.trigger('focusin')
    await view.findAll('li')[1]?.trigger('pointerover')
    expect(view.emitted('activate-box')).toEqual([['b1'], ['b0'], ['b1']])
  })

  it('lights the box that is active elsewhere, also after the text went on', async () => {
    const text = 'cup [1,20,30,40] '
    const view = show({ text, boxes: findBoxes(text), activeBox: 'b0' })
    const lit = () => view.findAll('[aria-pressed="true"]').map((button) => button.attributes('data-box'))
    expect(lit()).toEqual(['b0'])
    const longer = `${text}and plate [5,60,70,80]`
    await view.setProps({ text: longer, boxes: findBoxes(longer) })
    await settled()
    expect(lit()).toEqual(['b0'])
    expect(view.findAll('[data-box]')).toHaveLength(2)
    await view.setProps({ activeBox: 'b1' })
    expect(lit()).toEqual(['b1'])
  })

  it('copies code and says so in the language of the page', async () => {
    const writeText = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue()
    const view = show({ text: '```\nx = 1\n```' })
    await speak('zh')
    await settled()
    expect(view.find('[data-copy]').text()).toBe('复制')
    await view.find('[data-copy]').trigger('click')
    await settled()
    expect(writeText).toHaveBeenCalledWith('x = 1\n')
    expect(view.find('[data-copy]').text()).toBe('已复制')
    await speak('en')
    writeText.mockRestore()
  })
})
