/** A schema told to the model in words: it is held to the form while it writes, but what the fields mean it must read. */

import type { Language } from '@/types'
import type { Schema } from './jsonSchema'
import { toForm, type FormField } from './schemaForm'

const WORDS = {
  en: {
    fields: 'Answer with JSON only. Fields:',
    schema: 'Answer with JSON only, valid against this JSON Schema:',
    types: { text: 'text', number: 'number', integer: 'whole number', boolean: 'true or false', date: 'date as YYYY-MM-DD', choice: 'one of', group: 'object' },
    list: (type: string) => `list of ${type}`,
    orNull: (type: string) => `${type} or null`,
  },
  zh: {
    fields: '只用JSON回答，字段：',
    schema: '只用JSON回答，须符合以下 JSON Schema：',
    types: { text: '文本', number: '数字', integer: '整数', boolean: 'true 或 false', date: '日期 YYYY-MM-DD', choice: '以下之一', group: '对象' },
    list: (type: string) => `${type}列表`,
    orNull: (type: string) => `${type}或 null`,
  },
} as const

function line(field: FormField, language: Language, indent: string): string {
  const words = WORDS[language]
  const plain = field.type === 'choice' ? `${words.types.choice} ${field.choices.join(' / ')}` : words.types[field.type]
  const listed = field.list ? words.list(plain) : plain
  const type = field.nullable ? words.orNull(listed) : listed
  const inner = field.fields.map((one) => `\n${line(one, language, `${indent}  `)}`).join('')
  return `${indent}- ${field.name} (${type})${field.description ? `: ${field.description}` : ''}${inner}`
}

export function schemaInWords(schema: Schema, language: Language): string {
  const fields = toForm(schema)
  if (!fields) return `${WORDS[language].schema}\n${JSON.stringify(schema)}`
  return [WORDS[language].fields, ...fields.map((field) => line(field, language, ''))].join('\n')
}
