import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, h, nextTick, ref } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { i18n } from '@/locales'
import ErrorBoundary from './ErrorBoundary.vue'

const broken = ref(true)
const Part = defineComponent({
  setup: () => () => {
    if (broken.value) throw new Error('no such field')
    return h('button', { onClick: () => { throw new Error('clicked') } }, 'whole')
  },
})

async function boundary() {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/:x*', component: Part }] })
  await router.push('/')
  const heard = vi.fn()
  const wrapper = mount(ErrorBoundary, { slots: { default: () => h(Part) }, global: { plugins: [router, i18n], config: { errorHandler: heard } } })
  await flushPromises()
  return { wrapper, router, heard }
}

afterEach(() => {
  vi.restoreAllMocks()
  broken.value = true
})
enableAutoUnmount(afterEach) // hooks run last to first: nothing is drawn when the next test begins

describe('ErrorBoundary', () => {
  it('shows a note instead of a part that cannot be drawn, and draws it again when asked', async () => {
    const { wrapper } = await boundary()
    expect(wrapper.text()).toContain('This part of the page has failed')
    expect(wrapper.text()).toContain('no such field')
    broken.value = false
    await wrapper.findAll('button').find((button) => button.text() === 'Try again')?.trigger('click')
    expect(wrapper.text()).toBe('whole')
  })

  it('forgets the failure when another page is opened', async () => {
    const { wrapper, router } = await boundary()
    broken.value = false
    await router.push('/other')
    await nextTick()
    expect(wrapper.text()).toBe('whole')
  })

  it('leaves the page alone when a click fails', async () => {
    broken.value = false
    const { wrapper, heard } = await boundary()
    await wrapper.find('button').trigger('click')
    expect(wrapper.text()).toBe('whole')
    expect(heard).toHaveBeenCalledOnce()
  })
})
