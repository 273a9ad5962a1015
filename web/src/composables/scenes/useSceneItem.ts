import { computed, ref, type Ref } from 'vue'
import { locate } from '@/api/scenes'
import type { FoundBox } from '@/lib/boxes/boxes'
import { isRecord } from '@/lib/record'
import { marksOf, resultOf, type Mark } from '@/lib/scenes/marks'
import { findingsOf, undecided, verdictOf, withDecision, type Decision, type Finding } from '@/lib/scenes/reviews'
import { boxedIn, fieldsOf, type Result, type Scene } from '@/lib/scenes/scenes'
import type { Failure } from '@/types'
import { failureOf, remember, type SceneItem } from './useSceneBatch'

/** One file's result as a person works on it: verdict, decisions, corrected marks, places on the picture. */
export function useSceneItem(scene: Ref<Scene>, item: Ref<SceneItem>, refusedToKeep: () => void) {
  const result = computed<Result>(() => item.value.edited ?? item.value.answer?.result ?? {})
  const findings = computed(() => findingsOf(scene.value, result.value))
  const verdict = computed(() => verdictOf(scene.value, findings.value, item.value.decisions))
  const open = computed(() => undecided(findings.value, item.value.decisions))
  const locating = ref<string | null>(null)
  const noPlace = ref<Failure>()

  const marksField = computed(() => fieldsOf(scene.value, result.value).find((field) => field.hint === 'marks'))
  const marks = computed<Mark[]>(() => {
    const field = marksField.value
    if (!field) return []
    return item.value.marks ?? marksOf(isRecord(field.value) ? field.value : {}, field.partner?.value)
  })

  /** What the picture shows: boxes of the answer, and those asked for. */
  const boxes = computed<FoundBox[]>(() => {
    const told = boxedIn(result.value).map(({ id, label, box }) => ({ id, label, box }))
    const asked = findings.value.flatMap(({ id, text, box }) => {
      const place = box ?? item.value.places[id]
      return place ? [{ id, label: text, box: place }] : []
    })
    // A finding with a box of its own is in both: its own name is the one that its row points with.
    const own = told.filter((one) => !asked.some((other) => other.box.join() === one.box.join()))
    return [...own, ...asked].map((one) => ({ ...one, picture: 0, start: 0, end: 0 }))
  })

  function save(): void {
    if (!remember(scene.value.name, item.value)) refusedToKeep()
  }

  function decide(id: string, change: Decision): void {
    item.value.decisions = withDecision(item.value.decisions, id, change)
    save()
  }

  function mark(next: Mark[] | undefined): void {
    item.value.marks = next
    item.value.edited = next && resultOf(next)
    save()
  }

  async function find({ id, text }: Finding): Promise<void> {
    const asked = item.value
    locating.value = id
    noPlace.value = undefined
    try {
      asked.places[id] = (await locate(asked, text)) ?? null
    } catch (error) {
      noPlace.value = failureOf(error)
    } finally {
      locating.value = null
    }
  }

  return { result, findings, verdict, open, marksField, marks, boxes, locating, noPlace, decide, mark, find }
}
