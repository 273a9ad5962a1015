/** The code of a request is looked at now and then: it is fetched when it is. */
import { defineAsyncComponent } from 'vue'

export const CodeDialog = defineAsyncComponent(() => import('./CodeDialog.vue'))
export const CodePanel = defineAsyncComponent(() => import('./CodePanel.vue'))
