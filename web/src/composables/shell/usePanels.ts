import { ref } from 'vue'

export const settingsTabs = ['general', 'model', 'sampling', 'pictures', 'keys', 'storage'] as const
export type SettingsTab = (typeof settingsTabs)[number]

const settingsOpen = ref(false)
const settingsTab = ref<SettingsTab>('general')
const helpOpen = ref(false)

function openSettings(tab?: SettingsTab): void {
  if (tab) settingsTab.value = tab
  settingsOpen.value = true
}

/** The panels over every page. Any area may open the settings where they concern it: `openSettings('pictures')`. */
export function usePanels() {
  return { settingsOpen, settingsTab, helpOpen, openSettings, openHelp: () => (helpOpen.value = true) }
}
