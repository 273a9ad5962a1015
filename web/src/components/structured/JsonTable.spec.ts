import { mount } from '@vue/test-utils'
import { describe, expect, it } from 'vitest'
import { i18n } from '@/locales'
import JsonTable from './JsonTable.vue'

const schema = {
  type: 'object',
  properties: { total: { type: 'string' }, items: { type: 'array', items: { type: 'object', properties: { price: { type: 'number', minimum: 0 } } } } },
  required: ['total', 'shop'],
}
const value = { total: '3', items: [{ price: 1 }, { price: -2 }] }
const shown = (props: object) => mount(JsonTable, { props: { value, schema, ...props }, global: { plugins: [i18n] }, attachTo: document.body })

describe('a JSON value as a table', () => {
  it('marks the cell that does not fit and names what is missing', () => {
    const table = shown({})
    expect(table.findAll('.cell.wrong').map((cell) => cell.text())).toEqual(['-2'])
    expect(table.text()).toContain('shop is missing')
    expect(table.text()).toContain('items[2].price')
    table.unmount()
  })

  it('neither checks nor offers to change what is still being written, and shows where that is', () => {
    const table = shown({ openPath: ['items', 1, 'price'], editable: true })
    expect(table.findAll('.wrong, button.cell')).toHaveLength(0)
    expect(table.findAll('.open').map((cell) => cell.text())).toEqual(['-2'])
    table.unmount()
  })

  it('takes a change by hand as the kind of value that stood there', async () => {
    const table = shown({ editable: true })
    await table.findAll('button.cell')[2]?.trigger('click')
    await table.find('textarea').setValue('2')
    await table.find('textarea').trigger('keydown', { key: 'Enter' })
    expect(table.emitted('update:value')).toEqual([[{ total: '3', items: [{ price: 1 }, { price: 2 }] }]])
    table.unmount()
  })

  it('does not take the Enter that ends a word of an input method, and gives up on Escape', async () => {
    const table = shown({ editable: true })
    await table.find('button.cell').trigger('click')
    await table.find('textarea').setValue('合计')
    await table.find('textarea').trigger('keydown', { key: 'Enter', isComposing: true })
    expect(table.emitted('update:value')).toBeUndefined()
    await table.find('textarea').trigger('keydown', { key: 'Escape' })
    expect(table.find('textarea').exists()).toBe(false)
    expect(table.emitted('update:value')).toBeUndefined()
    table.unmount()
  })
})
