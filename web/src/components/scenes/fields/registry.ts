import type { Component } from 'vue'
import FieldAmounts from './FieldAmounts.vue'
import FieldBoxes from './FieldBoxes.vue'
import FieldCheck from './FieldCheck.vue'
import FieldFlag from './FieldFlag.vue'
import FieldList from './FieldList.vue'
import FieldMarks from './FieldMarks.vue'
import FieldScore from './FieldScore.vue'
import FieldTable from './FieldTable.vue'
import FieldTags from './FieldTags.vue'
import FieldText from './FieldText.vue'
import FieldWord from './FieldWord.vue'
import type { Field } from '@/lib/scenes/scenes'

const BY_HINT: Record<string, Component> = {
  flag: FieldFlag,
  check: FieldCheck,
  verdict: FieldWord,
  text: FieldText,
  total: FieldText,
  tags: FieldTags,
  list: FieldList,
  notes: FieldList,
  amounts: FieldAmounts,
  boxes: FieldBoxes,
  marks: FieldMarks,
  score: FieldScore,
}

const FITS: Record<string, (value: unknown) => boolean> = {
  flag: (value) => typeof value === 'boolean' || value === null,
  check: isPlain,
  verdict: isPlain,
  text: isPlain,
  total: isPlain,
  tags: Array.isArray,
  list: Array.isArray,
  notes: Array.isArray,
  amounts: Array.isArray,
}

/** The component for a field. A hint that nobody knows, or that does not fit the value, is no reason to show nothing. */
export function componentFor({ hint, value }: Field): Component {
  const found = BY_HINT[hint]
  if (found && (FITS[hint]?.(value) ?? true)) return found
  if (typeof value === 'boolean') return FieldFlag
  return isPlain(value) ? FieldText : FieldTable
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null
}
