import { createI18n } from 'vue-i18n'
import type { Language } from '@/types'
import en from './languages/en'
import type { Area, Tree } from './messages'

export const languages: readonly Language[] = ['en', 'zh']

function wordsIn(language: Language, areas: Record<string, Area>): Tree {
  return Object.fromEntries(Object.entries(areas).map(([path, area]) => [path.slice(3, -3), area.default[language] ?? {}]))
}

/** The language of a browser that has chosen none here. */
export function firstLanguage(preferred: readonly string[] = navigator.languages): Language {
  const known = preferred.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag === 'zh' || tag === 'en')
  return known === 'zh' ? 'zh' : 'en'
}

export const i18n = createI18n({
  legacy: false,
  locale: 'en' as Language,
  fallbackLocale: 'en' as Language,
  messages: { en: wordsIn('en', en) } as Record<Language, Tree>,
})

const others = { zh: () => import('./languages/zh') }
let wanted: Language = 'en'

/** Shows the page in a language as soon as its words have come; of two that are asked for, the later one stays. */
export async function speak(language: Language): Promise<void> {
  wanted = language
  if (language !== 'en' && !(language in i18n.global.messages.value)) {
    i18n.global.setLocaleMessage(language, wordsIn(language, (await others[language]()).default))
  }
  if (wanted === language) i18n.global.locale.value = language
}
