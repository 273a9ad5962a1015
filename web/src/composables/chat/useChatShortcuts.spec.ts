import { mount } from '@vue/test-utils'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, h, ref } from 'vue'
import { i18n } from '@/locales/index'
import { useChatShortcuts } from './useChatShortcuts'
import { handleKey } from '@/composables/shell/useShortcuts'

const done = { stop: vi.fn(), write: vi.fn(), search: vi.fn(), toggleSidebar: vi.fn() }
const busy = ref(false)
const Chat = defineComponent({
  setup() {
    useChatShortcuts({ busy, ...done })
    return () => h('div', { onKeydown: handleKey }, [h('textarea'), h('p', { tabindex: 0 })])
  },
})

let wrapper: ReturnType<typeof mount>
function press(selector: string, init: KeyboardEventInit): boolean {
  wrapper ??= mount(Chat, { attachTo: document.body, global: { plugins: [i18n] } })
  const event = new KeyboardEvent('keydown', { bubbles: true, cancelable: true, ...init })
  wrapper.get(selector).element.dispatchEvent(event)
  return event.defaultPrevented
}
afterEach(() => Object.values(done).forEach((one) => one.mockClear()))

describe('the keys of the conversation', () => {
  it('write a slash where one types, and go to the question from elsewhere', () => {
    expect(press('textarea', { key: '/' })).toBe(false)
    expect(press('p', { key: '/' })).toBe(true)
    expect(done.write).toHaveBeenCalledOnce()
  })

  it('stop an answer with Escape, also while the next question is typed, and leave Escape alone otherwise', () => {
    expect(press('textarea', { key: 'Escape' })).toBe(false)
    busy.value = true
    expect(press('textarea', { key: 'Escape' })).toBe(true)
    busy.value = false
    expect(done.stop).toHaveBeenCalledOnce()
  })

  it('search and show the list, whatever is typed', () => {
    press('textarea', { key: 'k', ctrlKey: true })
    press('textarea', { key: 'b', ctrlKey: true })
    expect([done.search, done.toggleSidebar].map((one) => one.mock.calls.length)).toEqual([1, 1])
  })
})
