import { computed, watch, watchEffect } from 'vue'
import { useI18n } from 'vue-i18n'
import { useRoute } from 'vue-router'
import { speak } from '@/locales'
import { useSettings } from '@/stores/settings'
import type { Language } from '@/types'

const TAGS = { en: 'en', zh: 'zh-CN' }

/** The page's language follows the settings, its title the route; for the root of the page. */
export function useDocumentWords() {
  const settings = useSettings()
  const route = useRoute()
  const { t, locale } = useI18n({ useScope: 'global' })

  watch(() => settings.language, (language) => void speak(language).catch(console.error), { immediate: true })
  watchEffect(() => (document.documentElement.lang = TAGS[locale.value as Language])) // of the words that are shown
  const title = computed(() => (route.meta.title ? t(route.meta.title) : ''))
  watchEffect(() => (document.title = title.value ? `${title.value} · flashweb` : 'flashweb'))
  return { title } // a page that is changed without being loaded is announced by nobody else
}
