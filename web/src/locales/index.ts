import { createI18n } from 'vue-i18n'
import type { Tree } from './messages'

export const languages = ['en', 'zh'] as const
export type Language = (typeof languages)[number]

interface Area {
  default: Record<Language, Tree>
}

// Every file of this folder is an area and its name the first part of its keys.
const areas = import.meta.glob<Area>(['./*.ts', '!./index.ts', '!./messages.ts', '!./*.spec.ts'], { eager: true })

function wordsIn(language: Language): Tree {
  return Object.fromEntries(Object.entries(areas).map(([path, area]) => [path.slice(2, -3), area.default[language]]))
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
  messages: { en: wordsIn('en'), zh: wordsIn('zh') },
})
