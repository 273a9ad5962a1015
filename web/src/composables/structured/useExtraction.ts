/** Pictures to objects, some at once: one item a picture, or one for all of them together. */

import { computed, onScopeDispose, reactive, ref } from 'vue'
import { emptyRun, follow } from '@/composables/answers/answerRun'
import { pooled } from '@/lib/pool'
import { judge, type Judged } from '@/lib/structured/extraction'
import type { AnswerRun, Attachment, ChatRequest } from '@/types'

export interface ExtractionItem {
  id: string
  name: string
  request: ChatRequest
  schema: unknown
  run: AnswerRun
  edited?: { value: unknown }
}

export type ItemState = 'waiting' | 'running' | 'done' | 'invalid' | 'failed' | 'stopped' | 'cut'

export const isOver = (run: AnswerRun) => run.state === 'done' || run.state === 'failed' || run.state === 'stopped'

export function judgeItem(item: ExtractionItem): Judged {
  if (item.edited) return { value: item.edited.value, complete: true, mismatches: judge(JSON.stringify(item.edited.value), true, item.schema).mismatches }
  return judge(item.run.text, isOver(item.run), item.schema)
}

export function stateOf(item: ExtractionItem): ItemState {
  const { state, finish } = item.run
  if (state === 'idle' || state === 'waiting') return 'waiting'
  if (state !== 'done') return state
  if (finish === 'length') return 'cut'
  const { complete, mismatches } = judgeItem(item)
  return complete && mismatches.length === 0 ? 'done' : 'invalid'
}

export function useExtraction() {
  const items = ref<ExtractionItem[]>([])
  const busy = ref(false)
  const done = computed(() => items.value.filter((item) => isOver(item.run)).length)
  let abort = new AbortController()

  async function work(list: ExtractionItem[], atOnce: number) {
    abort = new AbortController()
    const { signal } = abort
    busy.value = true
    for (const item of list) Object.assign(item, { run: reactive(emptyRun('waiting')), edited: undefined })
    await pooled(list, atOnce, (item) => follow(item.run, item.request, signal), signal)
    for (const item of list) if (item.run.state === 'waiting') item.run.state = 'stopped'
    if (abort.signal === signal) busy.value = false
  }

  /** A group of attachments is one answer's. */
  async function start(groups: Attachment[][], requestFor: (group: Attachment[]) => ChatRequest, atOnce: number) {
    abort.abort()
    items.value = groups.map((group, at) => {
      const request = requestFor(group)
      const name = group.map((file) => file.name).join(', ')
      return { id: group[0]?.id ?? String(at), name, request, schema: request.responseSchema, run: emptyRun('waiting') }
    })
    await work(items.value, atOnce)
  }

  const again = (list: ExtractionItem[], atOnce = 1) => work(list, atOnce)
  const stop = () => abort.abort()
  onScopeDispose(stop)
  return { items, busy, done, start, again, stop }
}
