import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'
import { nextTick } from 'vue'
import { useSettings } from './settings'

const fresh = () => {
  setActivePinia(createPinia())
  return useSettings()
}

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
})

describe('settings', () => {
  it('outlive the page', async () => {
    const settings = fresh()
    settings.theme = 'dark'
    settings.sampling.temperature = 0.5
    await nextTick()
    expect(fresh()).toMatchObject({ theme: 'dark', sampling: { temperature: 0.5 } })
  })

  it('follow another tab', () => {
    const settings = fresh()
    localStorage.setItem('flashweb.settings', JSON.stringify({ language: 'zh' }))
    dispatchEvent(Object.assign(new Event('storage'), { key: 'flashweb.settings', newValue: 'new' }))
    expect(settings.language).toBe('zh')
  })

  it('keep a key in the tab alone unless told otherwise', () => {
    const settings = fresh()
    settings.apiKey = 'secret'
    expect(JSON.stringify([{ ...localStorage }])).not.toContain('secret')
    expect(sessionStorage.getItem('flashweb.api-key')).toBe('secret')
    expect(fresh()).toMatchObject({ apiKey: 'secret', keepKey: 'tab' })
  })

  it('move a key between tab and browser, never leaving it in both', () => {
    const settings = fresh()
    settings.adminKey = 'root'
    settings.keepAdminKey = 'browser'
    expect([sessionStorage.getItem('flashweb.admin-key'), localStorage.getItem('flashweb.admin-key')]).toEqual([null, 'root'])
    expect(fresh().keepAdminKey).toBe('browser')
    settings.keepAdminKey = 'tab'
    expect([sessionStorage.getItem('flashweb.admin-key'), localStorage.getItem('flashweb.admin-key')]).toEqual(['root', null])
  })

  it('forget a key without a trace', () => {
    const settings = fresh()
    settings.keepKey = 'browser'
    settings.apiKey = 'secret'
    settings.apiKey = null
    expect([sessionStorage.length, localStorage.getItem('flashweb.api-key')]).toEqual([0, null])
  })
})
