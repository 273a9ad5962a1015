import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { describe, expect, it } from 'vitest'
import { i18n } from '@/locales'
import { marksOf } from '@/lib/scenes/marks'
import type { Result, Scene } from '@/lib/scenes/scenes'
import SceneResult from './SceneResult.vue'

const scene = (over: Partial<Scene>): Scene => ({
  name: 's', title: {}, description: {}, answer: 'json', fields: [], question: {}, translates: false,
  schema: {}, sample: null, show: {}, own: true, ...over,
})
function show(one: Scene, result: Result) {
  const marks = marksOf(result, result.summary)
  return mount(SceneResult, {
    props: { scene: one, result, language: 'en', name: 'a.png', src: null, active: null, marks },
    global: { plugins: [createPinia(), i18n] },
  })
}

describe('a result on the page', () => {
  it('names its fields and values in words', () => {
    const page = show(scene({ show: { seal: 'check' }, labels: { seal: { en: 'Seal' }, missing: { en: 'not there' } }, judge: { seal: { missing: 'violation' } } }), { seal: 'missing', other: 'x' })
    expect(page.text()).toContain('Seal')
    expect(page.find('.check.danger').text()).toBe('not there')
  })

  it.each([true, false, null])('shows a flag of %s as a word, not as code', (value) => {
    const text = show(scene({ show: { a: 'flag', b: 'text' } }), { a: value, b: '' }).text()
    expect(text).toContain({ true: 'yes', false: 'no', null: 'cannot tell' }[String(value)])
  })

  it('shows a hint that nobody knows, and one that does not fit, by the value alone', () => {
    const page = show(scene({ show: { a: 'hologram', b: 'tags' } }), { a: 'plain words', b: 'no list' })
    expect(page.text()).toContain('plain words')
    expect(page.text()).toContain('no list')
  })

  it('shows objects without a hint as a table', () => {
    const text = show(scene({ show: { a: 'text' } }), { a: 'x', rows: [{ part: 'bolt', count: 3 }] }).text()
    expect(text).toContain('bolt')
    expect(text).toContain('3')
  })

  it('checks a sum, and again when a person ticks other amounts', async () => {
    const page = show(scene({ show: { amounts: 'amounts', total: 'total' } }), { amounts: ['1.00', '2.00', '3.00', '5.00'], total: '3.00' })
    expect(page.find('.note.tone-ok').text()).toContain('3.00')
    await page.findAll<HTMLInputElement>('input[type=checkbox]')[0]!.setValue(false)
    expect(page.find('.note.tone-warn').text()).toContain('-1.00')
  })

  it('makes a score sheet that asks for a change when a teacher disagrees', async () => {
    const wrong = { error_type: 'sum', location: '9-7=12', suggestion: '9-7=2', box: [1, 2, 300, 400] }
    const page = show(scene({ show: { summary: 'score', 'Q*': 'marks' } }), { Q2: wrong, summary: { right: 1, all: 2 } })
    expect(page.text()).toContain('1 / 2')
    await page.findAll('input[type=radio]')[2]!.setValue() // Q2 is right
    const [marks] = page.emitted('marks')!.at(-1) as [{ id: string; right: boolean }[]]
    expect(marks.map(({ right }) => right)).toEqual([true, true])
  })

  it('shows text of a picture as text, never as HTML', () => {
    const page = show(scene({ show: { a: 'text', b: 'tags', c: 'list' } }), { a: '<img src=x onerror=alert(1)>', b: ['<b>x</b>'], c: ['<i>y</i>'] })
    expect(page.find('img, b, i').exists()).toBe(false)
    expect(page.text()).toContain('<img src=x')
  })
})
