/** One question under two settings: asking, stopping, swapping, and keeping the pair. */

import { computed, onScopeDispose, reactive, ref, shallowRef, toRaw } from 'vue'
import { emptyRun, follow } from '@/composables/answers/answerRun'
import { requestFor, type Comparison, type SideSettings } from '@/lib/compare/comparison'
import { forgetComparison, keepComparison, keptComparisons } from '@/lib/compare/comparisonStore'
import { newId } from '@/lib/history/db'
import { atSize } from '@/lib/pictures/pictureSize'
import { reasonOf } from '@/lib/reason'
import type { AnswerRun, Attachment, ChatRequest } from '@/types'

export type Side = 0 | 1
export const other = (side: Side): Side => (side === 0 ? 1 : 0)
const BOTH: readonly Side[] = [0, 1]

/** What was asked: the pair belongs to this question, whatever is typed meanwhile. */
interface Asked {
  id: string
  createdAt: number
  question: string
  pictures: Attachment[]
}

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

export function useComparison(first: () => SideSettings) {
  const question = ref('')
  const pictures = ref<Attachment[]>([])
  const sides = reactive<[SideSettings, SideSettings]>([first(), first()])
  const runs = reactive<[AnswerRun, AnswerRun]>([emptyRun(), emptyRun()])
  const inTurn = ref(false)
  const asked = shallowRef<Asked | null>(null)
  const kept = shallowRef<Comparison[]>([])
  const storageProblem = ref('')
  const unshrunk = reactive<[boolean, boolean]>([false, false]) // the browser could not draw a picture smaller
  // What each answer was really asked with: the form may have been changed since.
  const askedWith: [SideSettings | null, SideSettings | null] = [null, null]
  const aborts: [AbortController, AbortController] = [new AbortController(), new AbortController()]

  const isBusy = (side: Side) => runs[side].state === 'running' || runs[side].state === 'waiting'
  const busy = computed(() => BOTH.some(isBusy))

  async function build(side: Side, from: Pick<Asked, 'question' | 'pictures'>): Promise<ChatRequest> {
    const settings = copy(sides[side])
    unshrunk[side] = false
    const fitted = await Promise.all(
      from.pictures.map((picture) =>
        atSize(picture, settings.size).catch(() => {
          unshrunk[side] = true
          return picture
        }),
      ),
    )
    return requestFor(settings, from.question, fitted)
  }

  /** The request of one side as it would go out now, for "show as code". */
  const preview = (side: Side) => build(side, asked.value ?? { question: question.value, pictures: toRaw(pictures.value) })

  async function answer(side: Side, signal: AbortSignal): Promise<void> {
    const from = asked.value
    if (!from || signal.aborted) return
    askedWith[side] = copy(sides[side])
    await follow(runs[side], await build(side, from), signal)
  }

  function begin(side: Side): AbortSignal {
    aborts[side].abort()
    aborts[side] = new AbortController()
    runs[side] = emptyRun('waiting') // a new one: the answer that was broken off may still write into its own
    return aborts[side].signal
  }

  const snapshot = (): Asked => ({ id: newId(), createdAt: Date.now(), question: question.value.trim(), pictures: [...toRaw(pictures.value)] })

  async function ask(): Promise<void> {
    asked.value = snapshot()
    const signals = BOTH.map(begin)
    const one = async (side: Side) => answer(side, signals[side] as AbortSignal)
    if (inTurn.value) for (const side of BOTH) await one(side)
    else await Promise.all(BOTH.map(one))
    for (const side of BOTH) if (runs[side].state === 'waiting') runs[side].state = 'stopped'
    await save()
  }

  /** The same question once more to one side; the other's answer stays. */
  async function again(side: Side): Promise<void> {
    asked.value ??= snapshot()
    await answer(side, begin(side))
    await save()
  }

  function stopOne(side: Side): void {
    aborts[side].abort()
    if (runs[side].state === 'waiting') runs[side].state = 'stopped'
  }
  const stop = () => BOTH.forEach(stopOne)

  function swap(): void {
    ;[sides[0], sides[1]] = [sides[1], sides[0]]
    ;[runs[0], runs[1]] = [runs[1], runs[0]]
    ;[unshrunk[0], unshrunk[1]] = [unshrunk[1], unshrunk[0]]
    askedWith.reverse()
    aborts.reverse()
  }

  function current(): Comparison | null {
    const from = asked.value
    if (!from || busy.value || BOTH.some((side) => runs[side].text === '')) return null
    const side = (at: Side) => ({ settings: copy(askedWith[at] ?? sides[at]), answer: copy(runs[at]) })
    return { ...from, sides: [side(0), side(1)] }
  }

  async function stored(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      kept.value = await keptComparisons()
      storageProblem.value = ''
    } catch (error) {
      storageProblem.value = reasonOf(error)
    }
  }

  const save = () => stored(async () => {
    const pair = current()
    if (pair) await keepComparison(pair)
  })
  const remove = (id: string) => stored(() => forgetComparison(id))

  function open(comparison: Comparison): void {
    stop()
    question.value = comparison.question
    pictures.value = comparison.pictures
    asked.value = { id: comparison.id, createdAt: comparison.createdAt, question: comparison.question, pictures: comparison.pictures }
    for (const side of BOTH) {
      const { settings, answer: run } = comparison.sides[side]
      sides[side] = copy(settings)
      askedWith[side] = copy(settings)
      runs[side] = { ...emptyRun(), ...copy(run) }
    }
  }

  void stored(async () => {})
  onScopeDispose(stop)
  return { question, pictures, sides, runs, inTurn, asked, kept, storageProblem, unshrunk, busy, ask, again, stop, stopOne, swap, current, preview, open, remove }
}
