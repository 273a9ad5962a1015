import { expect, it } from 'vitest'
import type { Attachment, ChatRequest, Turn } from '@/types'
import { handOver, lastQuestion, takeOver } from './handover'

const cup: Attachment = { id: 'c', kind: 'image', name: 'cup.png' }
const turn = (role: Turn['role'], text: string, ...attachments: Attachment[]): Turn => ({ role, text, attachments })
const request = (...turns: Turn[]): ChatRequest => ({ systemPrompt: '', sampling: {}, turns })

it('A request is taken once', () => {
  const asked = request(turn('user', 'what is it?'))
  handOver(asked)
  expect(takeOver()).toBe(asked)
  expect(takeOver()).toBeNull()
})

it('The last question brings the pictures that it is about, also from an earlier turn', () => {
  expect(lastQuestion(request(turn('user', 'what is it?', cup), turn('assistant', 'a cup'), turn('user', 'which colour?')))).toEqual({ text: 'which colour?', attachments: [cup] })
})

it('A request without a question brings none', () => {
  expect(lastQuestion(request())).toEqual({ text: '', attachments: [] })
})
