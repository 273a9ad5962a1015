import { defineStore } from 'pinia'
import { reactive, ref, toRefs, watch, type Ref } from 'vue'
import { PREFIX, read, readJson, write, type Place } from '@/lib/stored'
import { firstLanguage } from '@/locales'
import { preferencesOf } from './preferences'

const NAME = 'settings'

/** A key and where it is kept: in this tab's storage or the browser's, never in both. */
function keptKey(name: string): { key: Ref<string | null>; keep: Ref<Place> } {
  const inTab = read('tab', name)
  const inBrowser = read('browser', name)
  const key = ref(inTab ?? inBrowser)
  const keep = ref<Place>(inTab === null && inBrowser !== null ? 'browser' : 'tab')
  watch(
    [key, keep],
    () => {
      write('tab', name, keep.value === 'tab' ? key.value : null)
      write('browser', name, keep.value === 'browser' ? key.value : null)
    },
    { flush: 'sync' },
  )
  return { key, keep }
}

/** What this browser remembers of its user's wishes. */
export const useSettings = defineStore('settings', () => {
  const preferences = reactive(preferencesOf(readJson('browser', NAME), firstLanguage()))
  watch(preferences, (now) => write('browser', NAME, JSON.stringify(now)), { deep: true })

  // Another tab changed them: this one follows.
  addEventListener('storage', (event) => {
    if (event.key === PREFIX + NAME && event.newValue !== null) {
      Object.assign(preferences, preferencesOf(readJson('browser', NAME), preferences.language))
    }
  })

  const user = keptKey('api-key')
  const admin = keptKey('admin-key')
  return { ...toRefs(preferences), apiKey: user.key, keepKey: user.keep, adminKey: admin.key, keepAdminKey: admin.keep }
})
