/** The list of conversations: a column where there is room, which this browser remembers; a drawer elsewhere. */
import { computed, ref } from 'vue'
import { useMedia } from '@/composables/useMedia'
import { read, write } from '@/lib/stored'

const NAME = 'sidebar'

export function useSidebar() {
  const isDrawer = useMedia('(width <= 900px)')
  const drawerOpen = ref(false)
  const columnOpen = ref(read('browser', NAME) !== 'closed')

  const open = computed({
    get: () => (isDrawer.value ? drawerOpen.value : columnOpen.value),
    set: (now) => {
      if (isDrawer.value) drawerOpen.value = now
      else {
        columnOpen.value = now
        write('browser', NAME, now ? 'open' : 'closed')
      }
    },
  })
  return { isDrawer, open }
}
