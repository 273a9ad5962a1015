import { describe, expect, it } from 'vitest'
import { preferencesOf } from './preferences'

describe('preferencesOf', () => {
  it('begins with the browser language and leaves sampling to the server', () => {
    expect(preferencesOf(null, 'zh')).toMatchObject({ language: 'zh', theme: 'system', sendKeys: 'source', sampling: {}, model: null, maxSide: 2048 })
  })

  it('gives back what it was given', () => {
    const mine = { ...preferencesOf(null, 'en'), theme: 'dark', sampling: { temperature: 0, top_k: 5, stop: ['\n'] }, model: 'm', maxSide: 1024 }
    expect(preferencesOf(JSON.parse(JSON.stringify(mine)), 'zh')).toEqual(mine)
  })

  it.each(['text', 7, [], { theme: 'pink', sendKeys: 3, thinking: 'yes', maxSide: 1e9, model: '', sampling: 'hot' }])(
    'survives %j that somebody stored',
    (stored) => expect(preferencesOf(stored, 'en')).toEqual(preferencesOf(null, 'en')),
  )

  it('keeps of the sampling what the server would take', () => {
    const sampling = { temperature: 3, top_p: 0, top_k: 1.5, min_p: 0.1, seed: -1, max_tokens: 0, presence_penalty: -2, stop: ['', 'END', 4], best_of: 2 }
    expect(preferencesOf({ sampling }, 'en').sampling).toEqual({ min_p: 0.1, presence_penalty: -2, stop: ['END'] })
  })
})
