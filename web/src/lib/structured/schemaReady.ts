/** Schemas to begin with, each with its instruction, in both languages. They keep to what the form can show. */

import type { Language } from '@/types'
import type { Schema } from './jsonSchema'
import { newField, toSchema, type FieldType, type FormField } from './schemaForm'

export interface ReadySchema {
  id: 'invoice' | 'receipt' | 'product' | 'contract' | 'rows' | 'pairs'
  schema: (language: Language) => Schema
  instruction: Record<Language, string>
}

type Words = [en: string, zh: string]
type Line = [name: string, type: FieldType, words: Words, more?: Partial<Omit<FormField, 'fields'>> & { of?: Line[] }]

const maybe = { nullable: true }

function fields(lines: readonly Line[], language: Language): FormField[] {
  return lines.map(([name, type, words, { of = [], ...more } = {}]) => ({
    ...newField(name, type),
    description: words[language === 'en' ? 0 : 1],
    fields: fields(of, language),
    ...more,
  }))
}

const ready = (id: ReadySchema['id'], instruction: Words, lines: Line[]): ReadySchema => ({
  id,
  schema: (language) => toSchema(fields(lines, language)),
  instruction: { en: instruction[0], zh: instruction[1] },
})

const ITEMS: Line[] = [
  ['name', 'text', ['What it is', '品名']],
  ['quantity', 'number', ['How many; null where it does not say', '数量，没有则为 null'], maybe],
  ['price', 'text', ['Price as printed, without sign and thousands separator', '价格，不带货币符号和千位分隔符']],
]

export const READY: readonly ReadySchema[] = [
  ready('receipt', ['Read this receipt. Leave nothing out and invent nothing.', '读取这张小票，不要遗漏，也不要编造。'], [
    ['shop', 'text', ['Name of the shop', '店名'], maybe],
    ['date', 'text', ['Date and time as printed', '日期和时间原文'], maybe],
    ['items', 'group', ['Every line with a price, in order', '每一行带价格的商品，按顺序'], { list: true, of: ITEMS.filter(([name]) => name !== 'quantity') }],
    ['total', 'text', ['Total as printed', '合计金额'], maybe],
  ]),
  ready('invoice', ['Read this invoice. Write amounts as they are printed.', '读取这张发票，金额按票面填写。'], [
    ['number', 'text', ['Invoice number', '发票号码'], maybe],
    ['date', 'date', ['Day of issue', '开票日期'], maybe],
    ['seller', 'text', ['Name of the seller', '销售方名称'], maybe],
    ['buyer', 'text', ['Name of the buyer', '购买方名称'], maybe],
    ['items', 'group', ['Every line', '每一行明细'], { list: true, of: ITEMS }],
    ['tax', 'text', ['Tax', '税额'], maybe],
    ['total', 'text', ['Total with tax', '价税合计'], maybe],
  ]),
  ready('product', ['Audit this product picture.', '审核这张商品图片。'], [
    ['contains_price', 'boolean', ['Whether a price is shown', '是否显示具体价格']],
    ['brand', 'text', ['Brand that can be seen', '可见的品牌'], maybe],
    ['forbidden_words', 'text', ['Words of advertising that are forbidden, such as best or first', '违禁广告词，如“最便宜”“第一”'], { list: true }],
    ['verdict', 'choice', ['Whether it may be shown', '审核结论'], { choices: ['pass', 'reject', 'unclear'] }],
  ]),
  ready('contract', ['Check this page of a contract.', '检查这一页合同。'], [
    ['party_a_signature', 'choice', ['Signature of party A', '甲方签字'], { choices: ['present', 'missing', 'unclear'] }],
    ['party_b_seal', 'choice', ['Seal of party B', '乙方公章'], { choices: ['legible', 'illegible', 'missing'] }],
    ['amounts_agree', 'boolean', ['Whether the amounts in words and in digits agree; null where there are none', '大小写金额是否一致，没有则为 null'], maybe],
    ['issues', 'text', ['What else is wrong', '其他问题'], { list: true }],
  ]),
  ready('rows', ['Read the table in this picture, row by row.', '逐行读取图中的表格。'], [
    ['columns', 'text', ['Headings of the columns', '列名'], { list: true }],
    ['rows', 'group', ['One entry a row', '每行一条'], { list: true, of: [['cells', 'text', ['Cells from left to right', '从左到右的单元格'], { list: true }]] }],
  ]),
  ready('pairs', ['List every label in this picture with its value.', '列出图中每个标签及其内容。'], [
    ['pairs', 'group', ['One entry a label, from top to bottom', '每个标签一条，从上到下'], {
      list: true,
      of: [
        ['label', 'text', ['The label as printed', '标签原文']],
        ['value', 'text', ['What stands for it', '对应内容']],
      ],
    }],
  ]),
] // prettier-ignore

export const readySchema = (id: string): ReadySchema => READY.find((one) => one.id === id) ?? (READY[0] as ReadySchema)
