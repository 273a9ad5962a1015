import { computed, readonly, ref, watchEffect } from 'vue'
import { useSettings } from '@/stores/settings'

const media = globalThis.matchMedia?.('(prefers-color-scheme: dark)')
const systemIsDark = ref(media?.matches ?? false)
media?.addEventListener('change', (event) => (systemIsDark.value = event.matches))

/** The colours that are shown, and how to change them. */
export function useTheme() {
  const settings = useSettings()
  const shown = computed(() => (settings.theme === 'system' ? (systemIsDark.value ? 'dark' : 'light') : settings.theme))
  const toggle = () => (settings.theme = shown.value === 'dark' ? 'light' : 'dark')
  return { shown: readonly(shown), toggle }
}

/** Keeps the document in the colours of the settings; for the root of the page. */
export function useDocumentTheme(): void {
  const { shown } = useTheme()
  watchEffect(() => (document.documentElement.dataset.theme = shown.value))
}
