import { reactive, ref, shallowRef, watch, type Ref } from 'vue'
import { withoutPassword } from '@/lib/history/secrets'
import { USUAL, type Note } from '@/lib/limits'
import { moved } from '@/lib/list'
import { detailOf, picture, Refused, take, type Detail } from '@/lib/pictures/attachments'
import type { Edit, Wishes } from '@/lib/pictures/image'
import { choosePages } from '@/lib/pictures/pdf'
import { useServer } from '@/stores/server'
import { useSettings } from '@/stores/settings'
import type { Attachment } from '@/types'
import { usePictureTokens } from './usePictureTokens'

export interface Problem extends Note {
  id: number
}

export interface Attachments {
  pending: Ref<number> // files that are being read
  problems: Ref<Problem[]>
  add(files: readonly File[]): Promise<void>
  addUrl(url: string): void
  remove(id: string): void
  move(from: number, to: number): void
  replace(id: string, file: File): Promise<void>
  edit(id: string, edit: Edit): Promise<void>
  asClip(id: string, clip: boolean): Promise<void>
  choosePages(id: string, pages: string): void
  setPassword(id: string, password: string): void // an empty one takes it back
  detail(attachment: Attachment): Promise<Detail | null>
  dismiss(problemId: number): void
}

// Shared by the bar that adds and the tray that edits. Reactive, for a page count that arrives after its tile.
const details = reactive(new Map<string, Detail>())
let lastProblem = 0

function wishesOfSettings(): () => Wishes {
  const settings = useSettings()
  const server = useServer()
  const tokensOf = usePictureTokens()
  return () => ({ shrink: settings.shrinkPictures, maxSide: settings.maxSide, limits: server.limits ?? USUAL, tokensOf })
}

/** Adds, changes and orders attachments. The list belongs to the caller; `update` gets every new one. */
export function useAttachments(
  list: () => readonly Attachment[],
  update: (next: Attachment[]) => void,
  wishes: () => Wishes = wishesOfSettings(),
  options: { owner?: () => string } = {},
): Attachments {
  // The caller's list arrives a tick after `update`: two files finished in one tick would otherwise overwrite each other.
  const current = shallowRef([...list()])
  watch(list, (next) => (current.value = [...next]), { flush: 'sync' })
  watch(current, (now, before) => {
    for (const { id } of before) if (!now.some((item) => item.id === id)) details.delete(id)
  })
  const pending = ref(0)
  const problems = ref<Problem[]>([])

  const write = (next: Attachment[]) => {
    current.value = next
    update(next)
  }
  const change = (id: string, to: (item: Attachment) => Attachment) => write(current.value.map((item) => (item.id === id ? to(item) : item)))
  const find = (id: string) => current.value.find((item) => item.id === id)

  async function guarded(name: string, work: () => Promise<void>): Promise<void> {
    pending.value += 1
    try {
      await work()
    } catch (error) {
      const note = error instanceof Refused ? error.note : { key: 'unreadable', values: { name } }
      problems.value = [...problems.value, { ...note, id: ++lastProblem }].slice(-6)
    } finally {
      pending.value -= 1
    }
  }

  async function detail(attachment: Attachment): Promise<Detail | null> {
    const known = details.get(attachment.id)
    if (known) return known
    const found = await detailOf(attachment)
    if (found && find(attachment.id)) details.set(attachment.id, found)
    return found
  }

  /** One file after the other: twenty photos decoded at once would not fit into a phone. */
  let queue: Promise<void> = Promise.resolve()
  function add(files: readonly File[]): Promise<void> {
    problems.value = []
    const owner = options.owner?.()
    const works = files.map((file) => () =>
      guarded(file.name, async () => {
        const taken = await take(file, file.name || 'picture', wishes())
        // Another conversation may be open by now; its question must not get this picture.
        if (options.owner?.() !== owner) throw new Refused({ key: 'leftBehind', values: { name: file.name } })
        details.set(taken.attachment.id, taken.detail)
        write([...current.value, taken.attachment])
      }),
    )
    for (const work of works) queue = queue.then(work)
    return queue
  }

  return {
    pending,
    problems,
    add,
    detail,
    addUrl(url) {
      const item: Attachment = { id: `url-${Date.now().toString(36)}-${++lastProblem}`, kind: 'url', name: nameOfUrl(url), url }
      write([...current.value, item])
    },
    remove: (id) => write(current.value.filter((item) => item.id !== id)),
    move: (from, to) => write(moved(current.value, from, to)),
    replace: (id, file) =>
      guarded(file.name, async () => {
        const taken = await take(file, file.name || 'picture', wishes())
        details.set(id, taken.detail)
        change(id, () => ({ ...taken.attachment, id }))
      }),
    edit: (id, edit) => redraw(id, (known) => ({ ...known, edit })),
    asClip: (id, clip) =>
      clip
        ? guarded(find(id)?.name ?? '', async () => {
            const known = await detail(find(id)!)
            if (known) change(id, ({ name }) => ({ id, name, kind: 'video', blob: known.original, originalBytes: known.original.size }))
          })
        : redraw(id, (known) => known),
    choosePages: (id, pages) => change(id, ({ pages: _old, ...item }) => (pages ? { ...item, pages } : item)),
    setPassword: (id, password) => change(id, (item) => (password ? { ...item, password } : withoutPassword(item))),
    dismiss: (problemId) => (problems.value = problems.value.filter((problem) => problem.id !== problemId)),
  }

  async function redraw(id: string, to: (known: Detail) => Detail): Promise<void> {
    const item = find(id)
    if (!item) return
    await guarded(item.name, async () => {
      const known = await detail(item)
      if (!known) return
      const next = to(known)
      const drawn = await picture(item, next, wishes())
      details.set(id, next)
      change(id, () => drawn)
    })
  }
}

export function nameOfUrl(url: string): string {
  try {
    const { hostname, pathname } = new URL(url)
    return decodeURIComponent(pathname.split('/').filter(Boolean).at(-1) ?? hostname)
  } catch {
    return url
  }
}

/** Pages of a PDF in the list, as far as its bytes told. */
export const pagesKnown = (id: string): number | null => details.get(id)?.pdf?.pages ?? null
/** Pages of it that are asked about, as far as its bytes told. */
export function pagesAsked({ id, pages = '' }: Attachment): number | null {
  const choice = choosePages(pages, pagesKnown(id))
  return choice.ok ? choice.count : null
}
export const isMoving = (id: string): boolean => details.get(id)?.animated ?? false
