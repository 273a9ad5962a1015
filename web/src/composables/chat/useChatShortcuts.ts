/** The keys of the conversation. Beginning a new one is a key of every page (useShellShortcuts.ts). */
import type { Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { useShortcuts } from '@/composables/shell/useShortcuts'

export interface ChatKeys {
  busy: Readonly<Ref<boolean>>
  stop: () => void
  write: () => void
  search: () => void
  toggleSidebar: () => void
}

export function useChatShortcuts({ busy, stop, write, search, toggleSidebar }: ChatKeys): void {
  const { t } = useI18n()
  useShortcuts([
    { keys: 'mod+k', label: () => t('chat.sidebar.search'), run: search },
    { keys: 'mod+b', label: () => t('chat.keys.sidebar'), run: toggleSidebar },
    { keys: '/', label: () => t('chat.keys.write'), run: write },
    { keys: 'escape', label: () => t('chat.keys.stop'), run: stop, when: () => busy.value, whileTyping: true },
  ])
}
