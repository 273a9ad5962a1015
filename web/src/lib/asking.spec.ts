import { describe, expect, it } from 'vitest'
import { canContinue, keptRequest, picturesOf, requestFor, requestOf, titleFrom } from './asking'
import type { Attachment, Message, Role } from '@/types'

let at = 0
function message(role: Role, text: string, more: Partial<Message> = {}): Message {
  return { id: `m${at++}`, conversationId: 'c', parentId: null, role, text, attachments: [], createdAt: at, ...more }
}
const picture = (name: string): Attachment => ({ id: name, kind: 'image', name, blob: new Blob(['x']) })
const settings = { model: null, sampling: { temperature: 0.5 }, thinking: false }

describe('what is asked', () => {
  it('leaves out answers that hold nothing, such as failed ones', () => {
    const path = [message('user', 'one'), message('assistant', ' ', { finish: 'error' }), message('user', 'two')]
    expect(requestFor({ systemPrompt: 's' }, path, settings).turns.map(({ text }) => text)).toEqual(['one', 'two'])
  })

  it('keeps a question that is only a picture', () => {
    expect(requestFor({ systemPrompt: '' }, [message('user', '', { attachments: [picture('a')] })], settings).turns).toHaveLength(1)
  })

  it('is whole again from what its answer keeps', () => {
    const path = [message('user', 'q', { attachments: [picture('a')] })]
    const request = requestFor({ systemPrompt: 's' }, path, { ...settings, model: 'm' })
    const answer = message('assistant', 'a', { request: keptRequest(request) })
    expect(answer.request!.turns).toEqual([])
    expect(requestOf([...path, answer])).toEqual(request)
    expect(requestOf(path)).toBeNull()
  })
})

describe('a title', () => {
  it('is the first line, or the files, and never cuts a character in two', () => {
    expect(titleFrom('  What is it?\nTell me.', [])).toBe('What is it?')
    expect(titleFrom(' ', [picture('a.png'), picture('b.png')])).toBe('a.png, b.png')
    expect(titleFrom('😀'.repeat(80), [])).toBe(`${'😀'.repeat(59)}…`)
  })
})

describe('going on with an answer', () => {
  it('needs a text, and an end that was none', () => {
    expect(canContinue(message('assistant', 'half', { finish: 'length' }))).toBe(true)
    expect(canContinue(message('assistant', 'half'))).toBe(true) // the page was closed while it came
    expect(canContinue(message('assistant', '', { finish: 'stopped' }))).toBe(false)
    expect(canContinue(message('assistant', 'whole', { finish: 'stop' }))).toBe(false)
    expect(canContinue(message('user', 'question'))).toBe(false)
  })
})

describe('the pictures of an answer', () => {
  it('are those of the nearest question above that has some', () => {
    const path = [
      message('user', '', { attachments: [picture('a')] }),
      message('assistant', '1'),
      message('user', 'and?'),
      message('assistant', '2'),
      message('user', '', { attachments: [picture('b')] }),
      message('assistant', '3'),
    ]
    expect(picturesOf(path, path[3]!.id).map(({ name }) => name)).toEqual(['a'])
    expect(picturesOf(path, path[5]!.id).map(({ name }) => name)).toEqual(['b'])
    expect(picturesOf(path, null).map(({ name }) => name)).toEqual(['b'])
    expect(picturesOf([message('user', 'x')], null)).toEqual([])
  })
})
