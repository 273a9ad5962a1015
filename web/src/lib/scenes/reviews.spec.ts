import { describe, expect, it } from 'vitest'
import { findingsOf, undecided, verdictOf, withDecision } from './reviews'
import type { Scene } from './scenes'

const audit = {
  judge: {
    price: { true: 'review' },
    logo: { some: 'review' },
    words: { some: 'violation' },
    seal: { missing: 'violation', legible: 'pass' },
    sums: { false: 'violation', null: 'review' },
    plate: { empty: 'review' },
  },
} as unknown as Scene
const clean = { price: false, logo: null, words: [], seal: 'legible', sums: true, plate: 'B 1' }

describe('findings', () => {
  it('are none when everything passes', () => {
    expect(findingsOf(audit, clean)).toEqual([])
    expect(verdictOf(audit, [])).toBe('pass')
  })

  it.each([
    [{ price: true }, 'price:true', 'review'],
    [{ logo: 'NOVA' }, 'logo:NOVA', 'review'],
    [{ words: ['best'] }, 'words:best', 'violation'],
    [{ seal: 'missing' }, 'seal:missing', 'violation'],
    [{ sums: false }, 'sums:false', 'violation'],
    [{ sums: null }, 'sums:null', 'review'],
    [{ plate: '' }, 'plate:', 'review'],
    [{ plate: [] }, 'plate:', 'review'],
  ])('of %j is %s, a %s', (change, id, gravity) => {
    const found = findingsOf(audit, { ...clean, ...change })
    expect(found.map((one) => [one.id, one.gravity])).toEqual([[id, gravity]])
    expect(verdictOf(audit, found)).toBe(gravity)
  })

  it('are one for every entry of a list, with the box where an entry has one', () => {
    const found = findingsOf(audit, { ...clean, words: ['a', { text: 'b', box: [1, 2, 3, 4] }] })
    expect(found.map(({ text, box }) => [text, box])).toEqual([['a', undefined], ['b', [1, 2, 3, 4]]])
  })

  it('make no verdict in a scene that judges nothing', () => {
    expect(verdictOf({} as Scene, [])).toBeUndefined()
  })
})

describe('the place of a finding', () => {
  it('can be asked for when its words may stand on the picture: neither a word of few nor the model\'s own', () => {
    const scene = { show: { notes: 'notes' }, judge: { ...audit.judge, notes: { some: 'review' } } } as unknown as Scene
    const found = findingsOf(scene, { ...clean, price: true, seal: 'missing', words: ['best'], notes: ['the seal is missing'] })
    expect(found.filter(({ onPicture }) => onPicture).map(({ id }) => id)).toEqual(['words:best'])
  })
})

describe('a reviewer', () => {
  const found = findingsOf(audit, { ...clean, price: true, words: ['best'] })

  it('takes a rejected finding out of the verdict', () => {
    const decisions = withDecision({}, 'words:best', { state: 'rejected', note: 'a brand name' })
    expect(verdictOf(audit, found, decisions)).toBe('review')
    expect(verdictOf(audit, found, withDecision(decisions, 'price:true', { state: 'rejected' }))).toBe('pass')
  })

  it('makes a violation of what was only to be looked at by accepting it', () => {
    const decisions = { 'words:best': { state: 'rejected' as const }, 'price:true': { state: 'accepted' as const } }
    expect(verdictOf(audit, found, decisions)).toBe('violation')
    expect(undecided(found, decisions)).toBe(0)
  })

  it('can take a decision back, and a note alone is kept but decides nothing', () => {
    const noted = withDecision({ a: { state: 'accepted', note: 'x' } }, 'a', { state: undefined })
    expect(noted).toEqual({ a: { state: undefined, note: 'x' } })
    expect(withDecision(noted, 'a', { note: ' ' })).toEqual({})
    expect(undecided(found, noted)).toBe(2)
  })
})
