import { describe, expect, it } from 'vitest'
import type { Attachment, Message, Role } from '@/types'
import { canContinue, keptRequest, leftOut, picturesOf, requestFor, requestOf, requestToGoOn, titleFrom, tokensUsed } from './asking'

let at = 0
function message(role: Role, text: string, more: Partial<Message> = {}): Message {
  return { id: `m${at++}`, conversationId: 'c', parentId: null, role, text, attachments: [], createdAt: at, ...more }
}
const picture = (name: string): Attachment => ({ id: name, kind: 'image', name, blob: new Blob(['x']) })
const settings = { model: null, sampling: { temperature: 0.5 }, thinking: false }

describe('what is asked', () => {
  it('leaves out answers that hold nothing, such as failed ones', () => {
    const path = [message('user', 'one'), message('assistant', ' ', { finish: 'error' }), message('user', 'two')]
    expect(requestFor({ systemPrompt: 's' }, path, settings, 256).turns.map(({ text }) => text)).toEqual(['one', 'two'])
  })

  it('keeps a question that is only a picture', () => {
    expect(requestFor({ systemPrompt: '' }, [message('user', '', { attachments: [picture('a')] })], settings, 256).turns).toHaveLength(1)
  })

  it('is whole again from what its answer keeps', () => {
    const path = [message('user', 'q', { attachments: [picture('a')] })]
    const request = requestFor({ systemPrompt: 's' }, path, { ...settings, model: 'm' }, 256)
    const answer = message('assistant', 'a', { request: keptRequest(request) })
    expect(answer.request!.turns).toEqual([])
    expect(requestOf([...path, answer], 256)).toEqual(request)
    expect(requestOf(path, 256)).toBeNull()
  })
})

describe('a conversation that is longer than the server takes', () => {
  const path = Array.from({ length: 9 }, (_, i) => message(i % 2 ? 'assistant' : 'user', `m${i}`)) // ends with a question
  const sent = (systemPrompt: string, most: number) => requestFor({ systemPrompt }, path, settings, most).turns.map(({ text }) => text)

  it('sends its newest messages, and begins with a question', () => {
    expect(sent('', 9)).toHaveLength(9)
    expect(sent('', 4)).toEqual(['m6', 'm7', 'm8'])
    expect(sent('', 5)).toEqual(['m4', 'm5', 'm6', 'm7', 'm8'])
  })

  it('has room for one less beside a system prompt', () => {
    expect(sent('s', 9)).toEqual(['m2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8'])
  })

  it('shows as code what was sent, not what would not have been taken', () => {
    const request = requestFor({ systemPrompt: '' }, path, settings, 4)
    expect(requestOf([...path, message('assistant', 'a', { request: keptRequest(request) })], 4)?.turns).toEqual(request.turns)
  })

  it('tells how many messages the next question leaves behind', () => {
    const answered = path.slice(0, 8)
    expect([leftOut(answered, '', 9), leftOut(answered, 's', 9), leftOut(answered, '', 4), leftOut([], 's', 4)]).toEqual([0, 2, 6, 0])
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

  it('takes the longest length of now, since that of then has cut it, and all else of then', () => {
    const request = { model: 'm', systemPrompt: 's', turns: [], sampling: { temperature: 0.1, max_tokens: 8 }, thinking: true }
    const path = [message('user', 'q'), message('assistant', 'half', { finish: 'length', request })]
    const now = (sampling: object) => requestToGoOn({ systemPrompt: 'other' }, path, { model: null, sampling, thinking: true }, 256)
    expect(now({ max_tokens: 99 })).toMatchObject({ model: 'm', systemPrompt: 's', sampling: { temperature: 0.1, max_tokens: 99 }, thinking: false, continueFinal: true })
    expect(now({}).sampling.max_tokens).toBeUndefined() // the server's own
    expect(now({}).turns.map(({ text }) => text)).toEqual(['q', 'half'])
  })
})

it('tokens in use are those of the newest answer that tells them', () => {
  const path = [message('assistant', 'a', { stats: { promptTokens: 5, completionTokens: 2 } }), message('assistant', 'b', { stats: { promptTokens: 30, completionTokens: 4 } }), message('assistant', '')]
  expect([tokensUsed(path), tokensUsed([])]).toEqual([34, 0])
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
