import { mount } from '@vue/test-utils'
import { expect, it } from 'vitest'
import { i18n } from '@/locales'
import UnlockForm from './UnlockForm.vue'

it('says that the server cannot be reached instead of asking it, and keeps what was typed until it can', async () => {
  const wrapper = mount(UnlockForm, { props: { whyNot: 'the server cannot be reached' }, global: { plugins: [i18n] } })
  await wrapper.get('input').setValue('s3cret')
  await wrapper.get('form').trigger('submit')
  expect(wrapper.emitted('unlock')).toBeUndefined()
  expect(wrapper.text()).toContain('Nothing can be asked now: the server cannot be reached.')
  expect(wrapper.html()).not.toContain('s3cret')
  await wrapper.setProps({ whyNot: undefined })
  expect(wrapper.text()).not.toContain('Nothing can be asked now')
  await wrapper.get('form').trigger('submit')
  expect(wrapper.emitted('unlock')).toEqual([['s3cret']])
})
