import { beforeEach, describe, expect, it } from 'vitest'
import type { Message } from '@/types'
import { dropTail, leaveTail, withTail } from './tails'

const saved: Message = { id: 'a', conversationId: 'c', parentId: 'q', role: 'assistant', text: 'Q1', attachments: [], createdAt: 1 }

beforeEach(() => localStorage.clear())

describe('what an answer had grown to', () => {
  it('is found by the next page', () => {
    leaveTail({ ...saved, text: 'Q1 and Q2', thinking: 'hm', thinkingMs: 5 })
    expect(withTail(saved)).toEqual({ ...saved, text: 'Q1 and Q2', thinking: 'hm', thinkingMs: 5 })
  })

  it('never makes an answer shorter, and leaves a finished one alone', () => {
    leaveTail(saved)
    expect(withTail({ ...saved, text: 'Q1 and more' })).toBeUndefined()
    leaveTail({ ...saved, text: 'Q1 and Q2' })
    expect(withTail({ ...saved, finish: 'stop' })).toBeUndefined()
    expect(withTail({ ...saved, id: 'b' })).toBeUndefined()
  })

  it('is gone once it was dropped, and leaves nothing behind', () => {
    leaveTail({ ...saved, text: 'Q1 and Q2' })
    dropTail('a')
    expect(withTail(saved)).toBeUndefined()
    expect(localStorage.length).toBe(0)
  })

  it('is not taken from what somebody else wrote there', () => {
    for (const text of ['{', '[1]', 'null', '{"a": 5}', '{"a": {"text": 5}}']) {
      localStorage.setItem('flashweb.tails', text)
      expect(withTail(saved)).toBeUndefined()
    }
  })
})
