import { useI18n } from 'vue-i18n'
import { useRouter } from 'vue-router'
import { places } from './places'
import { usePanels } from './usePanels'
import { useShortcutKeys, useShortcuts } from './useShortcuts'
import { useTheme } from './useTheme'

/** The shortcuts of every page; for the root of the page, which also listens. */
export function useShellShortcuts(): void {
  const { t } = useI18n()
  const router = useRouter()
  const { openHelp, openSettings } = usePanels()
  const { toggle } = useTheme()
  useShortcuts([
    { keys: '?', label: () => t('shell.help.open'), run: openHelp },
    { keys: 'mod+,', label: () => t('shell.settings.open'), run: () => openSettings() },
    { keys: 'mod+shift+o', label: () => t('chat.sidebar.new'), run: () => void router.push({ name: 'home' }) },
    { keys: 'mod+shift+l', label: () => t('shell.theme.label'), run: toggle },
    ...places.map((place, index) => ({
      keys: `mod+alt+${index + 1}`,
      label: () => t(`shell.nav.${place.id}`),
      run: () => void router.push(place.path),
    })),
  ])
  useShortcutKeys()
}
