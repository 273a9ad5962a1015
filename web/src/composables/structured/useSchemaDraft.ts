/** A schema that is edited as fields and as text: whichever is touched, the other follows. */

import { computed, ref, watch } from 'vue'
import { isRecord } from '@/lib/record'
import { readJson, write } from '@/lib/stored'
import { toForm, toSchema, type FormField } from '@/lib/structured/schemaForm'
import { readSchema } from '@/lib/structured/schemaProblems'
import { READY, readySchema } from '@/lib/structured/schemaReady'
import type { Language } from '@/types'

const KEPT = 'structured'
export const OWN = 'own'

interface Kept {
  id: string
  text: string
  instruction: string
}

const isKept = (value: unknown): value is Kept => isRecord(value) && ['id', 'text', 'instruction'].every((key) => typeof value[key] === 'string')

export function useSchemaDraft(language: () => Language) {
  const id = ref('')
  const text = ref('')
  const instruction = ref('')
  const fields = ref<FormField[] | null>(null) // null: the text holds more than fields can show
  const read = computed(() => readSchema(text.value))

  const written = (schema: unknown) => JSON.stringify(schema, null, 2)

  function choose(next: string) {
    id.value = next
    if (next === OWN) return
    const ready = readySchema(next)
    editText(written(ready.schema(language())), next)
    instruction.value = ready.instruction[language()]
  }

  function editText(next: string, from = OWN) {
    text.value = next
    id.value = from
    const { schema } = read.value
    if (schema) fields.value = toForm(schema) // else the fields wait for the text to be right again
    else fields.value = null
  }

  function editFields(next: FormField[]) {
    fields.value = next
    text.value = written(toSchema(next))
    id.value = OWN
  }

  const kept = readJson('browser', KEPT)
  if (isKept(kept)) {
    editText(kept.text, kept.id)
    instruction.value = kept.instruction
  } else choose('receipt')
  watch([id, text, instruction], () => write('browser', KEPT, written({ id: id.value, text: text.value, instruction: instruction.value })))
  watch(language, () => {
    if (READY.some((one) => one.id === id.value)) choose(id.value) // its words are ours to translate
  })

  return { id, text, instruction, fields, read, choose, editText, editFields }
}
