/** For the specs of this folder: messages, and a component with the page's words. */
import { mount, type ComponentMountingOptions } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { createMemoryHistory, createRouter } from 'vue-router'
import type { Component } from 'vue'
import { ALONE } from '@/lib/history/tree'
import { i18n } from '@/locales'
import type { Message } from '@/types'

export const question = (change: Partial<Message> = {}): Message => ({
  id: 'q', conversationId: 'c', parentId: null, role: 'user', text: 'What is it?', attachments: [], createdAt: 1, ...change,
})

export const answer = (change: Partial<Message> = {}): Message => ({
  id: 'a', conversationId: 'c', parentId: 'q', role: 'assistant', text: 'A **cup** at [10,20,30,40].', attachments: [], finish: 'stop', request: { systemPrompt: '', turns: [], sampling: {} }, createdAt: 2, ...change,
})

/** What a message is given besides itself. */
export const settled = { state: 'done', place: ALONE, pictures: [], inlinePane: false, activeBox: null, near: true } as const

export function show(component: Component, options: ComponentMountingOptions<Component> = {}) {
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/', component: { render: () => null } }] })
  const { provide = {} } = options.global ?? {}
  return mount(component, { attachTo: document.body, ...options, global: { plugins: [i18n, createPinia(), router], provide } })
}
