import { beforeEach, describe, expect, it } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'
import { newField } from '@/lib/structured/schemaForm'
import { useSchemaDraft } from './useSchemaDraft'

const language = ref<'en' | 'zh'>('en')
const made = () => effectScope().run(() => useSchemaDraft(() => language.value)) as ReturnType<typeof useSchemaDraft>

beforeEach(() => {
  localStorage.clear()
  language.value = 'en'
})

describe('a schema that is edited', () => {
  it('is the same in fields and text, whichever is touched', () => {
    const draft = made()
    draft.editFields([newField('a'), newField('')])
    expect(JSON.parse(draft.text.value)).toMatchObject({ properties: { a: { type: 'string' } } })
    expect(draft.fields.value).toHaveLength(2) // a field without a name yet stays in the form
    draft.editText(draft.text.value.replace('"a": {', '"b": {').replace('"a"', '"b"'))
    expect(draft.fields.value?.map(({ name }) => name)).toEqual(['b'])
    expect(draft.id.value).toBe('own')
  })

  it('has no fields while its text is wrong, and none that would lose something', () => {
    const draft = made()
    draft.editText('{')
    expect([draft.fields.value, draft.read.value.schema]).toEqual([null, null])
    draft.editText('{"type": "string", "maxLength": 3}')
    expect([draft.fields.value, draft.read.value.schema]).toEqual([null, { type: 'string', maxLength: 3 }])
  })

  it('is still there after a reload', async () => {
    const draft = made()
    draft.editFields([newField('mine')])
    draft.instruction.value = 'Look.'
    await nextTick()
    expect(made().fields.value?.[0]?.name).toBe('mine')
    expect(made().instruction.value).toBe('Look.')
  })

  it('follows the language while it is ours, and stays when it is the user’s', async () => {
    const draft = made()
    draft.choose('invoice')
    language.value = 'zh'
    await nextTick()
    expect(draft.text.value).toContain('发票号码')
    draft.editFields([newField('mine')])
    language.value = 'en'
    await nextTick()
    expect(draft.fields.value?.[0]?.name).toBe('mine')
  })
})
