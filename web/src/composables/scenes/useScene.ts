import { computed, onScopeDispose, ref, watch, type Ref } from 'vue'
import { sampleFile } from '@/api/samples'
import { csvBlob, download, toCsv } from '@/lib/csv'
import { keep, kept, keyOfFile } from '@/lib/scenes/kept'
import { columnsOf, exportOf, rowOf, type Outcome } from '@/lib/scenes/sceneRows'
import type { Scene } from '@/lib/scenes/scenes'
import { useSettings } from '@/stores/settings'
import type { Failure } from '@/types'
import { failureOf, useSceneBatch, type SceneItem } from './useSceneBatch'

interface Form {
  question: string
  rules: string
  answerIn: string
}

/** A scene's page: the question, the files and which of them is looked at. */
export function useScene(scene: Ref<Scene>) {
  const { name } = scene.value
  const settings = useSettings()
  const form = ref<Form>(kept(`form.${name}`, { question: '', rules: '', answerIn: '' }))
  watch(form, (now) => void keep(`form.${name}`, now), { deep: true })

  const atOnce = ref('2')
  const question = () => ({ question: form.value.question, rules: form.value.rules, language: form.value.answerIn || (scene.value.translates ? '' : settings.language), model: settings.model ?? undefined })
  const batch = useSceneBatch(name, question, computed(() => Number(atOnce.value)))
  onScopeDispose(batch.cancel) // nobody is left to read the answers
  const chosenId = ref<number | null>(null)
  const chosen = computed(() => batch.items.find((item) => item.id === chosenId.value))
  const fetching = ref(false)
  const sampleFailure = ref<Failure>()

  function add(files: readonly File[]): SceneItem[] {
    sampleFailure.value = undefined
    const added = batch.add(files)
    if (!chosen.value || batch.items.length === added.length) chosenId.value = added[0]?.id ?? null
    return added
  }

  /** One click from the question to its answer. */
  async function trySample(): Promise<void> {
    if (!scene.value.sample || fetching.value) return
    fetching.value = true
    sampleFailure.value = undefined
    try {
      const file = await sampleFile(scene.value.sample)
      const there = batch.items.find((item) => keyOfFile(name, item.file) === keyOfFile(name, file))
      const [item] = there ? [there] : add([file])
      chosenId.value = item?.id ?? null
      if (item && !batch.running.value) void batch.run([item])
    } catch (error) {
      sampleFailure.value = failureOf(error)
    } finally {
      fetching.value = false
    }
  }

  function remove(item: SceneItem): void {
    const at = batch.items.indexOf(item)
    batch.remove(item)
    if (chosenId.value === item.id) chosenId.value = (batch.items[at] ?? batch.items[at - 1])?.id ?? null
  }

  function step(by: number): void {
    const at = batch.items.findIndex((item) => item.id === chosenId.value)
    chosenId.value = batch.items[at + by]?.id ?? chosenId.value
  }

  function save(kind: 'csv' | 'json'): void {
    const outcomes = batch.items.map(outcomeOf)
    const file = `${name}-${new Date().toISOString().slice(0, 10)}.${kind}`
    if (kind === 'json') return download(file, new Blob([JSON.stringify(exportOf(scene.value, outcomes), null, 2)], { type: 'application/json' }))
    const rows = outcomes.map((outcome) => rowOf(scene.value, outcome))
    download(file, csvBlob(toCsv(rows, columnsOf(scene.value, rows))))
  }

  return { question, form, atOnce, batch, chosen, chosenId, fetching, sampleFailure, add, trySample, remove, step, save }
}

function outcomeOf({ file, answer, edited, failure, decisions }: SceneItem): Outcome {
  return { file: file.name, result: edited ?? answer?.result, edited: !!edited, failure, ms: answer?.ms, requestId: answer?.requestId, model: answer?.model, decisions }
}
