/** The conversations of this browser: what the page shows of them, and their way into IndexedDB. What is shown lives in
 * memory, so that a full or missing storage costs the history but never the conversation at hand. */
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { History, newId, storageFailure, type Hit, type Snapshot } from '@/lib/history/db'
import { firstLook, NEW } from '@/lib/history/newDraft'
import { tellTabs } from '@/lib/history/tabs'
import { dropTail, withTail } from '@/lib/history/tails'
import { familyOf, leafWithout, newestLeaf, pathTo, subtree } from '@/lib/history/tree'
import type { Attachment, Conversation, Failure, Message } from '@/types'

/** What was deleted last and can be put back. */
export interface Removed {
  what: 'conversation' | 'message' | 'messages'
  title: string
  snapshot: Snapshot
}

export const useConversations = defineStore('conversations', () => {
  const history = new History()
  const list = shallowRef<Conversation[]>([]) // newest first
  const currentId = ref<string | null>(null)
  const messages = shallowRef<ReadonlyMap<string, Message>>(new Map())
  const loaded = ref(false) // the list is known
  const opening = ref(false)
  const failure = shallowRef<Failure | null>(null)
  const removed = shallowRef<Removed | null>(null)
  const unsaved = new Map<string, ReadonlyMap<string, Message>>() // where storage failed: a conversation's messages

  const current = computed(() => find(currentId.value) ?? null)
  const family = computed(() => familyOf(messages.value.values()))
  const path = computed(() => pathTo(messages.value, current.value?.leafId ?? null))

  // One after another: a message is there before its first change is written, and a reload sees what came before it.
  let queue: Promise<unknown> = Promise.resolve()
  function write<T>(work: () => Promise<T>, conversationId?: string, fallback?: T): Promise<T | undefined> {
    const done = queue.then(work).then(
      (result) => {
        tellTabs(conversationId === undefined ? {} : { conversationId })
        return result
      },
      (error: unknown) => {
        failure.value = storageFailure(error)
        if (conversationId !== undefined && conversationId === currentId.value) unsaved.set(conversationId, messages.value)
        return fallback
      },
    )
    queue = done
    return done
  }

  function find(id: string | null): Conversation | undefined {
    return id === null ? undefined : list.value.find((one) => one.id === id)
  }

  function setList(next: Conversation[]): void {
    list.value = next.sort((one, other) => other.updatedAt - one.updatedAt)
  }

  async function readList(): Promise<void> {
    try {
      const stored = await history.conversations()
      const ids = new Set(stored.map(({ id }) => id))
      setList([...stored, ...list.value.filter(({ id }) => unsaved.has(id) && !ids.has(id))]) // those live in memory only
    } catch (error) {
      failure.value = storageFailure(error)
    }
  }

  let loading: Promise<void> | null = null
  function load(): Promise<void> {
    loading ??= readList().then(() => {
      loaded.value = true
      void history.sweep().catch(() => undefined) // what cannot be swept today is swept tomorrow
    })
    return loading
  }

  async function readMessages(id: string): Promise<ReadonlyMap<string, Message>> {
    const kept = unsaved.get(id)
    if (kept) return kept
    await queue
    return new Map((await history.messages(id)).map((message) => [message.id, mended(message)]))
  }

  /** With the words that came after the last save, where the page was closed over an answer; they are saved now. */
  function mended(message: Message): Message {
    const whole = withTail(message)
    if (whole) void write(() => history.updateMessage(whole)).then(() => dropTail(message.id))
    return whole ?? message
  }

  let opened: Promise<unknown> = Promise.resolve()

  /** False when there is no such conversation. */
  function open(id: string | null): Promise<boolean> {
    const done = read(id)
    opened = done
    return done
  }

  async function read(id: string | null): Promise<boolean> {
    await load()
    if (id === currentId.value) return id === null || find(id) !== undefined
    currentId.value = find(id) ? id : null
    messages.value = new Map()
    if (currentId.value === null) return id === null
    opening.value = true
    try {
      const found = await readMessages(currentId.value)
      if (currentId.value === id) messages.value = found
    } catch (error) {
      failure.value = storageFailure(error)
    } finally {
      if (currentId.value === id) opening.value = false
    }
    return true
  }

  /** The new conversation is the current one. */
  function create(first: Pick<Conversation, 'title' | 'systemPrompt'>): Conversation {
    const now = Date.now()
    const made: Conversation = { id: newId(), titleIsOwn: false, leafId: null, createdAt: now, updatedAt: now, ...first }
    setList([made, ...list.value])
    currentId.value = made.id
    messages.value = new Map()
    void write(() => history.putConversation(made), made.id)
    return made
  }

  function patch(id: string, change: Partial<Conversation>): void {
    setList(list.value.map((one) => (one.id === id ? { ...one, ...change } : one)))
    void write(() => history.patchConversation(id, change), id)
  }

  function keep(conversationId: string, changed: readonly Message[]): void {
    const isCurrent = conversationId === currentId.value
    const base = isCurrent ? messages.value : unsaved.get(conversationId)
    if (!base) return
    const next = new Map(base)
    for (const message of changed) next.set(message.id, message)
    if (isCurrent) messages.value = next
    if (unsaved.has(conversationId)) unsaved.set(conversationId, next)
  }

  /** New messages, each below the one before it; the last one becomes the end of the path. */
  function add(conversationId: string, added: readonly Message[]): void {
    keep(conversationId, added)
    void write(() => history.putMessages(added), conversationId)
    const leaf = added[added.length - 1]
    if (leaf) patch(conversationId, { leafId: leaf.id, updatedAt: Date.now() })
  }

  /** False when the message was deleted meanwhile, here or in another tab. */
  async function save(message: Message): Promise<boolean> {
    keep(message.conversationId, [message])
    if (unsaved.has(message.conversationId)) return true
    return (await write(() => history.updateMessage(message), message.conversationId, true)) ?? true
  }

  /** Shows the newest branch below `id`. */
  function showBranch(id: string): void {
    if (currentId.value !== null) patch(currentId.value, { leafId: newestLeaf(family.value, id) })
  }

  function removeMessage(id: string): void {
    const conversation = current.value
    const message = messages.value.get(id)
    if (!conversation || !message) return
    removeMessages(conversation, subtree(family.value, id), leafWithout(family.value, message), 'message')
  }

  function clear(): void {
    if (current.value) removeMessages(current.value, new Set(messages.value.keys()), null, 'messages')
  }

  function removeMessages(conversation: Conversation, ids: ReadonlySet<string>, leafId: string | null, what: Removed['what']): void {
    const all = [...messages.value.values()]
    const gone = all.filter((message) => ids.has(message.id))
    removed.value = { what, title: conversation.title, snapshot: { conversation, messages: gone } }
    messages.value = new Map(all.filter((message) => !ids.has(message.id)).map((message) => [message.id, message]))
    void write(() => history.deleteMessages([...ids]), conversation.id)
    patch(conversation.id, { leafId })
  }

  async function remove(id: string): Promise<void> {
    const conversation = find(id)
    if (!conversation) return
    const had = id === currentId.value ? messages.value : await readMessages(id).catch(() => new Map<string, Message>())
    setList(list.value.filter((one) => one.id !== id))
    unsaved.delete(id)
    if (id === currentId.value) await open(null)
    removed.value = { what: 'conversation', title: conversation.title, snapshot: { conversation, messages: [...had.values()] } }
    void write(() => history.deleteConversation(id), id)
  }

  async function undo(): Promise<Conversation | null> {
    const back = removed.value
    if (!back) return null
    removed.value = null
    await addSnapshots([back.snapshot])
    return back.snapshot.conversation
  }

  async function addSnapshots(snapshots: readonly Snapshot[]): Promise<boolean> {
    const ids = new Set(snapshots.map(({ conversation }) => conversation.id))
    const done = await write(() => history.putSnapshots(snapshots).then(() => true), undefined, false)
    setList([...snapshots.map(({ conversation }) => conversation), ...list.value.filter(({ id }) => !ids.has(id))])
    for (const { conversation, messages: added } of snapshots) {
      keep(conversation.id, added)
      if (!done) unsaved.set(conversation.id, new Map(added.map((message) => [message.id, message])))
    }
    return done ?? false
  }

  async function snapshot(id: string): Promise<Snapshot | null> {
    const conversation = find(id)
    if (!conversation) return null
    const all = id === currentId.value ? messages.value : await readMessages(id)
    return { conversation, messages: [...all.values()] }
  }

  function readDraft(key: string) {
    const goesOnWith = firstLook(key) ?? key
    return goesOnWith === NEW ? history.takeOverDraft(key, NEW) : history.draft(goesOnWith)
  }

  /** A draft that cannot be kept is not worth a warning at every key. */
  const draft = (key: string) => readDraft(key).catch(() => ({ text: '', attachments: [] as Attachment[] }))
  const keepDraft = (key: string, text: string, attachments: readonly Attachment[]) =>
    history.putDraft(key, text, attachments).catch(() => undefined)

  async function search(words: string): Promise<Hit[]> {
    try {
      return await history.search(words)
    } catch (error) {
      failure.value = storageFailure(error)
      return []
    }
  }

  /** Where a request of the server's log stands in this browser; null when it was not asked here, or storage cannot be read. */
  async function placeOf(requestId: string): Promise<Pick<Message, 'id' | 'conversationId'> | null> {
    return (await queue.then(() => history.messageOf(requestId)).catch(() => undefined)) ?? null
  }

  async function refresh(conversationId: string | undefined): Promise<void> {
    await queue
    await readList()
    const id = currentId.value
    if (id === null || (conversationId !== undefined && conversationId !== id) || unsaved.has(id)) return
    if (!find(id)) return void (await open(null))
    const found = await readMessages(id).catch(() => null)
    if (found && currentId.value === id) messages.value = found
  }

  return {
    list, current, currentId, messages, family, path, loaded, opening, failure, removed,
    load, open, opened: () => opened, create, patch, add, save, showBranch, removeMessage, clear, remove, undo, addSnapshots, snapshot, search, placeOf, refresh, draft, keepDraft,
  }
})
