import { computed, markRaw, reactive, ref, shallowReactive, type Ref } from 'vue'
import { ApiError } from '@/api/http'
import { askScene, type SceneAnswer, type SceneFile, type SceneQuestion } from '@/api/scenes'
import { pause, pooled } from '@/lib/pool'
import { reasonOf } from '@/lib/reason'
import { keep, kept, keyOfFile } from '@/lib/scenes/kept'
import type { Mark } from '@/lib/scenes/marks'
import type { Decisions } from '@/lib/scenes/reviews'
import type { Result } from '@/lib/scenes/scenes'
import type { Box, Failure } from '@/types'

export type ItemState = 'waiting' | 'running' | 'done' | 'failed'

/** One file. Holds the File alone, which is a reference to the disk: pictures are decoded only while they are shown. A
 * password stays in memory. */
export interface SceneItem extends SceneFile {
  id: number
  state: ItemState
  answer?: SceneAnswer
  failure?: Failure
  decisions: Decisions
  marks?: Mark[] // as corrected by hand
  edited?: Result // the same as a result
  places: Record<string, Box | null> // of findings, asked for one by one; null: the model knows none
}

/** What is kept between visits: decisions, and corrections together with the answer that they correct. */
interface Kept {
  decisions: Decisions
  marks?: Mark[]
  edited?: Result
  of?: string
}

const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 15_000]
const BUSY = new Set([429, 503])
/** These meet every file alike: the rest is not even tried. */
const FOR_ALL = new Set([...BUSY, 401, 403, 404])

export function useSceneBatch(scene: string, question: () => SceneQuestion, atOnce: Ref<number>) {
  const items = shallowReactive<SceneItem[]>([])
  const running = ref(false)
  const stopped = ref<Failure>() // why the whole ended early
  let controller: AbortController | undefined
  let lastId = 0

  const counts = computed(() => {
    const of = (state: ItemState) => items.filter((item) => item.state === state).length
    return { all: items.length, done: of('done'), failed: of('failed'), waiting: of('waiting'), running: of('running') }
  })

  function add(files: readonly File[]): SceneItem[] {
    const added = files.map((file) => reactive({ id: ++lastId, file: markRaw(file), state: 'waiting', decisions: {}, places: {} }) as SceneItem)
    items.push(...added)
    return added
  }

  function remove(item: SceneItem): void {
    const at = items.indexOf(item)
    if (at >= 0 && item.state !== 'running') items.splice(at, 1)
  }

  function clear(): void {
    cancel()
    items.splice(0)
    stopped.value = undefined
  }

  function cancel(): void {
    controller?.abort()
  }

  /** Asks for those that are chosen: by default all that wait. */
  async function run(chosen: readonly SceneItem[] = items.filter((item) => item.state === 'waiting')): Promise<void> {
    if (running.value || !chosen.length) return
    controller = new AbortController()
    running.value = true
    stopped.value = undefined
    chosen.forEach((item) => Object.assign(item, { state: 'waiting', failure: undefined }))
    const asked = question() // one question for all, however the form changes meanwhile
    const { signal } = controller
    await pooled(chosen, atOnce.value, (item) => ask(item, asked, signal), signal).finally(() => (running.value = false))
  }

  /** What failed for want of the password is asked again: at once, unless others are being asked or `canAsk` says that nothing can
   * be. An empty one takes it back. */
  function unlock(item: SceneItem, password: string, canAsk = true): void {
    item.password = password || undefined
    if (!password || item.state !== 'failed') return
    Object.assign(item, { state: 'waiting', failure: undefined })
    if (canAsk) void run([item])
  }

  const retry = () => run(items.filter((item) => item.state === 'failed'))

  async function ask(item: SceneItem, asked: SceneQuestion, signal: AbortSignal): Promise<void> {
    if (!items.includes(item)) return
    item.state = 'running'
    try {
      const answer = await patiently(() => askScene(scene, item, asked, signal), signal)
      Object.assign(item, { answer, state: 'done', places: {}, ...remembered(scene, item.file, answer.result) })
    } catch (error) {
      if (signal.aborted) item.state = item.answer ? 'done' : 'waiting'
      else fail(item, error)
    }
  }

  function fail(item: SceneItem, error: unknown): void {
    const failure = failureOf(error)
    Object.assign(item, { failure, state: 'failed', answer: undefined })
    if (failure.status !== undefined && !FOR_ALL.has(failure.status)) return
    stopped.value = failure
    controller?.abort()
  }

  return { items, counts, running, stopped, add, remove, clear, cancel, run, unlock, retry }
}

/** A server that is full says so at once: wait and ask again, a few times. */
async function patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const wait of WAITS_MS) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof ApiError) || !BUSY.has(error.failure.status ?? 0)) throw error
      await pause(wait, signal)
    }
  }
  return ask()
}

export function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) return error.failure
  // Bytes that are no JSON, or a file that vanished from the disk after it was chosen.
  return { code: 'unreadable', status: 0, message: reasonOf(error) }
}

function remembered(scene: string, file: File, result: Result): Pick<SceneItem, 'decisions' | 'marks' | 'edited'> {
  const found = kept<Kept>(keyOfFile(scene, file), { decisions: {} })
  const same = found.of === JSON.stringify(result)
  return { decisions: found.decisions, marks: same ? found.marks : undefined, edited: same ? found.edited : undefined }
}

/** False when the browser will not keep it. */
export function remember(scene: string, item: SceneItem): boolean {
  const { decisions, marks, edited } = item
  const nothing = !Object.keys(decisions).length && !edited
  return keep(keyOfFile(scene, item.file), nothing ? undefined : { decisions, marks, edited, of: edited && JSON.stringify(item.answer?.result) })
}
