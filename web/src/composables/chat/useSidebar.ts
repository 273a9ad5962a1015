/** The list of conversations: a column where there is room, which this browser remembers; a drawer elsewhere. */
import { computed, ref } from 'vue'
import { useMedia } from '@/composables/useMedia'

const KEY = 'flashweb.sidebar'

export function useSidebar() {
  const isDrawer = useMedia('(width <= 900px)')
  const drawerOpen = ref(false)
  const columnOpen = ref(remembered())

  const open = computed({
    get: () => (isDrawer.value ? drawerOpen.value : columnOpen.value),
    set: (now) => {
      if (isDrawer.value) drawerOpen.value = now
      else {
        columnOpen.value = now
        remember(now)
      }
    },
  })
  return { isDrawer, open }
}

// A browser that keeps nothing shows the column.
function remembered(): boolean {
  try {
    return localStorage.getItem(KEY) !== 'closed'
  } catch {
    return true
  }
}

function remember(open: boolean): void {
  try {
    localStorage.setItem(KEY, open ? 'open' : 'closed')
  } catch {
    // nothing is lost but the wish
  }
}
