import { describe, expect, it, vi } from 'vitest'
import { firstLanguage, i18n, languages, speak } from '.'
import type { Tree } from './messages'

const leaves = (tree: Tree, path = ''): [string, string][] =>
  Object.entries(tree).flatMap(([key, value]): [string, string][] => {
    const at = path ? `${path}.${key}` : key
    return typeof value === 'string' ? [[at, value]] : leaves(value, at)
  })
const placeholders = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort()

describe('words', () => {
  it('of Chinese come when they are wanted, and what is wanted last stays', async () => {
    expect(i18n.global.availableLocales).toEqual(['en'])
    await Promise.all([speak('zh'), speak('en')])
    expect(i18n.global.locale.value).toBe('en')
    await speak('zh')
    expect(i18n.global.t('shell.close')).toBe('关闭')
    await speak('en')
  })

  it('are there in both languages, with the same values to fill in', async () => {
    await speak('zh')
    const en = new Map(leaves(i18n.global.messages.value.en as Tree))
    const zh = new Map(leaves(i18n.global.messages.value.zh as Tree))
    expect(en.size).toBeGreaterThan(50)
    expect([...zh.keys()].sort()).toEqual([...en.keys()].sort())
    const different = [...en].filter(([key, text]) => placeholders(text).join() !== placeholders(zh.get(key) ?? '').join())
    expect(different.map(([key]) => key)).toEqual([])
  })

  it.each(languages)('can all be read by vue-i18n in %s', async (language) => {
    await speak(language)
    const complaints: string[] = []
    const spy = vi.spyOn(console, 'warn').mockImplementation((...words) => void complaints.push(words.join(' ')))
    const bad: string[] = []
    for (const [key, text] of leaves(i18n.global.messages.value[language] as Tree)) {
      try {
        const values = Object.fromEntries(placeholders(text).map((name) => [name.slice(1, -1), 'X']))
        const shown = i18n.global.t(key, values, { locale: language })
        if (shown === key || shown.trim() === '') bad.push(key)
      } catch (error) {
        bad.push(`${key}: ${String(error)}`)
      }
    }
    spy.mockRestore()
    expect([...bad, ...complaints]).toEqual([])
  })

  it('begin in the first language that is known here', () => {
    expect(firstLanguage(['fr-FR', 'zh-TW', 'en'])).toBe('zh')
    expect(firstLanguage(['en-GB', 'zh'])).toBe('en')
    expect(firstLanguage(['ja'])).toBe('en')
  })
})
