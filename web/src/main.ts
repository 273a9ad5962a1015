import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { useToasts } from './composables/useToasts'
import { reasonOf } from './lib/reason'
import { i18n, speak } from './locales'
import { router } from './router'
import { useSettings } from './stores/settings'
import './styles/tokens.css'
import './styles/base.css'
import './styles/shared.css'

const { show } = useToasts()
const say = i18n.global.t
const app = createApp(App).use(createPinia()).use(i18n).use(router)

// What no boundary caught: the page is whole, somebody's click did not do what it should.
app.config.errorHandler = (error) => {
  console.error(error)
  show(say('shell.unexpected', { message: reasonOf(error) }), 'danger')
}

// After an update of the server the old page asks for files that are no longer there.
addEventListener('vite:preloadError', (event) => {
  event.preventDefault()
  show(say('shell.outdated'), 'warn')
})

// Not in one language first and in another a moment later; in English when the words do not come.
void speak(useSettings().language).catch(console.error).finally(() => app.mount('#app'))
