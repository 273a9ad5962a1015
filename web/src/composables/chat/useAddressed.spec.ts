import { flushPromises, mount } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { expect, it, vi } from 'vitest'
import { defineComponent } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { newDraftKey } from '@/lib/history/newDraft'
import { settled, SOON } from '@/fixtures/waiting'
import { useConversations } from '@/stores/conversations'
import { useAddressed } from './useAddressed'

it('knows the conversation of the address before it is read, so that what is typed at once belongs to it', async () => {
  setActivePinia(createPinia())
  const { id } = useConversations().create({ title: 'kept', systemPrompt: '' })
  await settled() // until it is written
  setActivePinia(createPinia()) // the page is loaded anew
  const view = { template: '<i />' }
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/', name: 'home', component: view }, { path: '/chat/:id', name: 'chat', component: view }] })
  await router.push(`/chat/${id}`)
  let addressed!: ReturnType<typeof useAddressed>
  const Page = defineComponent({
    setup() {
      addressed = useAddressed({ opened: () => undefined, toAnswer: async () => undefined, toEnd: () => undefined })
      return () => null
    },
  })
  mount(Page, { global: { plugins: [router] } })
  expect(useConversations().currentId).toBeNull()
  expect(addressed.key.value).toBe(id)
  await settled()
  expect(useConversations().currentId).toBe(id)
  expect(addressed.key.value).toBe(id)
  await router.push('/')
  await flushPromises()
  expect(addressed.key.value).toBe(newDraftKey())
  await router.push('/chat/nobody')
  await vi.waitFor(() => expect([addressed.missing.value, addressed.key.value]).toEqual([true, newDraftKey()]), SOON)
})
