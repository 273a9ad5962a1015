import { mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { findBoxes } from '@/lib/boxes/boxes'
import { i18n } from '@/locales'
import PicturePane from './PicturePane.vue'

const text = 'cup [100,100,300,300]\nhandle [250,150,290,250]\npicture 2: stamp [500,500,700,700]'
const pictures = [{ id: 'a', src: 'blob:a', name: 'a.png' }, { id: 'b', src: 'blob:b', name: 'b.png' }]
const boxes = findBoxes(text.replace('cup', 'picture 1: cup'), 2)

async function pane(props: object = {}) {
  const wrapper = mount(PicturePane, { props: { pictures, boxes, ...props }, global: { plugins: [i18n] }, attachTo: document.body })
  const image = wrapper.find<HTMLImageElement>('img.picture')
  Object.defineProperties(image.element, { naturalWidth: { value: 400 }, naturalHeight: { value: 400 } })
  await image.trigger('load')
  return wrapper
}

const items = () => [...document.querySelectorAll('[role=menuitem]')].map((item) => item.textContent?.trim())

beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(400)
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(400)
})
afterEach(() => {
  vi.restoreAllMocks()
  document.body.replaceChildren()
})

describe('PicturePane', () => {
  it('shows the boxes of the picture in view as named buttons, numbered as in the answer', async () => {
    const wrapper = await pane()
    expect(wrapper.findAll('g.box').map((box) => box.attributes('aria-label'))).toEqual(['Box 1: cup, from 100 100 to 300 300 per mille', 'Box 2: handle, from 250 150 to 290 250 per mille'])
    expect(wrapper.findAll('g.box').every((box) => box.attributes('tabindex') === '0' && box.attributes('role') === 'button')).toBe(true)
    expect(wrapper.findAll('.label').map((label) => label.text())).toEqual(['1 cup', '2 handle'])
  })

  it('activates the smallest box under the pointer, and nothing when it leaves', async () => {
    const wrapper = await pane()
    const stage = wrapper.find('.stage')
    await stage.trigger('pointermove', { clientX: 60, clientY: 60 })
    await stage.trigger('pointermove', { clientX: 108, clientY: 80 })
    await stage.trigger('pointerleave')
    expect(wrapper.emitted('activate')).toEqual([['b0'], ['b1'], [null]])
  })

  it('keeps a clicked box until the reader clicks beside it', async () => {
    const wrapper = await pane()
    const stage = wrapper.find('.stage')
    await stage.trigger('pointermove', { clientX: 60, clientY: 60 })
    await stage.trigger('click', { clientX: 60, clientY: 60 })
    await stage.trigger('pointerleave')
    expect(wrapper.find('g.box.active').attributes('data-box')).toBe('b0')
    await stage.trigger('click', { clientX: 390, clientY: 390 })
    expect(wrapper.find('g.box.active').exists()).toBe(false)
  })

  it('turns to the picture of the box that becomes active', async () => {
    const wrapper = await pane({ active: null })
    await wrapper.setProps({ active: 'b2' })
    expect(wrapper.find('img.picture').attributes('src')).toBe('blob:b')
    expect(wrapper.findAll('.row')).toHaveLength(1)
  })

  it('zooms by keys, shows all again with 0, and hides the boxes', async () => {
    const wrapper = await pane()
    const percent = () => wrapper.find('.percent').text()
    await wrapper.find('.stage').trigger('keydown', { key: '+' })
    expect(percent()).toBe('130 %')
    await wrapper.find('.stage').trigger('keydown', { key: '0' })
    expect(percent()).toBe('100 %')
    await wrapper.find('[aria-label="Hide boxes"]').trigger('click')
    expect(wrapper.findAll('g.box')).toHaveLength(0)
  })

  it('zooms to the pointer with the wheel and lets the page scroll when there is nothing to zoom', async () => {
    const wrapper = await pane()
    const wheel = (deltaY: number) => {
      const event = new WheelEvent('wheel', { deltaY, clientX: 100, clientY: 100, cancelable: true })
      wrapper.find('.stage').element.dispatchEvent(event)
      return event.defaultPrevented
    }
    expect(wheel(100)).toBe(false)
    expect(wheel(-100)).toBe(true)
  })

  it('names a picture that cannot be decoded and offers nothing that needs its pixels', async () => {
    const wrapper = await pane()
    await wrapper.find('img.picture').trigger('error')
    expect(wrapper.find('.failed').text()).toContain('a.png')
    expect(wrapper.find('.failed').text()).toContain('This picture cannot be shown.')
    expect(wrapper.findAll('.tools button').map((button) => button.attributes('aria-label'))).toEqual(['Save or copy'])
    await wrapper.find('[aria-label="Save or copy"]').trigger('click')
    expect(items()).toEqual(['Copy boxes, per mille'])
    await wrapper.find('[aria-label="Copy coordinates of box 1"]').trigger('click')
    expect(items()).toContain('Copy, per mille')
    expect(items()).not.toContain('Copy, pixels')
  })

  it('offers nothing at all of such a picture without boxes', async () => {
    const wrapper = await pane({ boxes: [] })
    await wrapper.find('img.picture').trigger('error')
    expect(wrapper.findAll('.tools button')).toHaveLength(0)
  })

  it('offers everything again when another picture is turned to', async () => {
    const wrapper = await pane()
    await wrapper.find('img.picture').trigger('error')
    await wrapper.findAll('.tab')[1]!.trigger('click')
    expect(wrapper.find('.failed').exists()).toBe(false)
    expect(wrapper.find('[aria-label="Zoom in"]').exists()).toBe(true)
  })

  it('shows an icon on the tab of a picture that cannot be decoded', async () => {
    const wrapper = await pane()
    await wrapper.find('.tab img').trigger('error')
    expect(wrapper.findAll('.tab').map((tab) => tab.find('img').exists())).toEqual([false, true])
  })
})
