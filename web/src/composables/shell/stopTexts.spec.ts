import { expect, it } from 'vitest'
import { linesOf, stopsOf } from './stopTexts'

it('writes stop texts as lines and reads them back', () => {
  const stops = ['END', '\n\n', 'a\\n', '\t']
  expect(linesOf(stops)).toBe('END\n\\n\\n\na\\\\n\n\\t')
  expect(stopsOf(linesOf(stops))).toEqual(stops)
})

it('leaves out empty lines and what comes twice, and keeps to sixteen', () => {
  expect(stopsOf('a\n\nb\na\n')).toEqual(['a', 'b'])
  expect(stopsOf(Array.from({ length: 20 }, (_, i) => `s${i}`).join('\n'))).toHaveLength(16)
})
