import { watchEffect } from 'vue'
import { useI18n } from 'vue-i18n'
import { useRoute } from 'vue-router'
import { useSettings } from '@/stores/settings'

const TAGS = { en: 'en', zh: 'zh-CN' }

/** The page's language follows the settings, its title the route; for the root of the page. */
export function useDocumentWords(): void {
  const settings = useSettings()
  const route = useRoute()
  const { t, locale } = useI18n({ useScope: 'global' })

  watchEffect(
    () => {
      locale.value = settings.language
      document.documentElement.lang = TAGS[settings.language]
    },
    { flush: 'sync' }, // before anything is drawn
  )
  watchEffect(() => {
    document.title = route.meta.title ? `${t(route.meta.title)} · flashweb` : 'flashweb'
  })
}
