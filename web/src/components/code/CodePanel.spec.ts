import { mount } from '@vue/test-utils'
import { describe, expect, it } from 'vitest'
import { nextTick } from 'vue'
import { chatCode } from '@/lib/code/chatCode'
import { i18n } from '@/locales'
import CodePanel from './CodePanel.vue'

const body = { messages: [{ role: 'user', content: 'a ``` b <script>alert(1)</script> [10, 20, 300, 400] $x^2$ https://example.org' }], stream: true }

describe('code in the dialog', () => {
  it('can be copied from the page letter for letter, whatever was asked', async () => {
    const code = chatCode(body, [], { baseUrl: 'http://127.0.0.1:8080' })
    const panel = mount(CodePanel, { props: { code }, global: { plugins: [i18n] }, attachTo: document.body })
    await nextTick()
    expect(panel.find('code').element.textContent?.trim()).toBe(code.samples[0]?.text.trim())
    expect(panel.find('script').exists()).toBe(false)
    panel.unmount()
  })
})
