// @vitest-environment node
import { expect, it } from 'vitest'

// README.md, "The way through": what stands later imports what stands earlier, never the other way round.
const LAYERS = ['lib', 'api', 'stores', 'composables', 'components', 'views']
const MOST_LINES = 150 // of a component

const sources = Object.entries(import.meta.glob<string>('./**/*.{ts,vue}', { query: '?raw', import: 'default', eager: true })).filter(([path]) => !path.endsWith('.spec.ts'))
const layerOf = (path: string) => LAYERS.indexOf(path.split('/')[1] ?? '')
const imported = (text: string) => [...text.matchAll(/from '@\/(\w+)/g)].map((match) => LAYERS.indexOf(match[1] ?? ''))

it('imports go one way', () => {
  const against = sources.filter(([path, text]) => layerOf(path) >= 0 && imported(text).some((layer) => layer > layerOf(path)))
  expect(sources.length).toBeGreaterThan(300)
  expect(against.map(([path]) => path)).toEqual([])
})

it('a second reason to change is a second file', () => {
  const long = sources.filter(([path, text]) => path.endsWith('.vue') && text.trimEnd().split('\n').length > MOST_LINES)
  expect(long.map(([path]) => path)).toEqual([])
})
