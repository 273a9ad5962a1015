import { expect, it } from 'vitest'
import { ALONE } from '@/lib/history/tree'
import { grouped } from './groups'
import { answer, question } from './testing'

const turns = (count: number) => Array.from({ length: count }, (_, i) => [question({ id: `q${i}` }), answer({ id: `a${i}` })]).flat().map((message) => ({ message, pictures: [], place: ALONE }))

it('Groups begin with a question and stay what they were when a turn is added', () => {
  const before = grouped(turns(7))
  expect(before.map((rows) => rows.length)).toEqual([6, 6, 2])
  expect(before.every(([first]) => first?.message.role === 'user')).toBe(true)
  expect(grouped(turns(8)).slice(0, 2)).toEqual(before.slice(0, 2))
})

it('An answer stays with its question, also after two questions in a row', () => {
  const rows = turns(3)
  rows.splice(1, 1) // the first question has no answer
  expect(grouped([...rows, ...turns(1)]).map((group) => group.map(({ message }) => message.id))).toEqual([['q0', 'q1', 'a1', 'q2', 'a2'].concat('q0', 'a0')])
})
