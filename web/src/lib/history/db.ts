/** Conversations in IndexedDB. Files stand once in `files`, whichever messages name them; messages carry their ids.
 * Rows are only ever added, or changed field by field inside a transaction, so that two tabs do not undo each other. */
import Dexie, { type EntityTable, type Table } from 'dexie'
import { withoutPassword } from './secrets'
import type { Attachment, Conversation, Failure, Message } from '@/types'

type StoredAttachment = Omit<Attachment, 'blob'> & { fileId?: string }
type StoredMessage = Omit<Message, 'attachments'> & { attachments: StoredAttachment[]; fileIds: string[] }
interface StoredDraft {
  key: string
  text: string
  attachments: Attachment[] // with their Blobs: a draft shares nothing
}
interface StoredFile {
  id: string
  blob: Blob
  addedAt: number
}

export class PageDatabase extends Dexie {
  conversations!: EntityTable<Conversation, 'id'>
  messages!: Table<StoredMessage, string>
  files!: EntityTable<StoredFile, 'id'>
  drafts!: EntityTable<StoredDraft, 'key'>

  constructor(name = 'flashweb') {
    super(name)
    this.version(1).stores({
      conversations: 'id, updatedAt',
      messages: 'id, conversationId, *fileIds',
      files: 'id, addedAt',
      drafts: 'key',
    })
  }
}

export interface Snapshot {
  conversation: Conversation
  messages: Message[]
}

export interface Hit {
  conversationId: string
  snippet: string
}

export class History {
  // The same Blob object means the same row: that is how an edited question shares its pictures with the first one.
  private readonly ids = new WeakMap<Blob, string>()
  private readonly blobs = new Map<string, WeakRef<Blob>>()

  constructor(readonly db: PageDatabase = new PageDatabase()) {}

  /** Newest first. */
  async conversations(): Promise<Conversation[]> {
    return this.db.conversations.orderBy('updatedAt').reverse().toArray()
  }

  async messages(conversationId: string): Promise<Message[]> {
    return this.db.transaction('r', this.db.messages, this.db.files, async () => {
      const rows = await this.db.messages.where({ conversationId }).toArray()
      const blobs = await this.loadBlobs(rows.flatMap((row) => row.fileIds))
      return rows.map((row) => fromRow(row, blobs))
    })
  }

  async putConversation(conversation: Conversation): Promise<void> {
    await this.db.conversations.put(plain(conversation))
  }

  /** False when it is gone, such as deleted in another tab. */
  async patchConversation(id: string, patch: Partial<Conversation>): Promise<boolean> {
    return (await this.db.conversations.update(id, plain(patch))) > 0 || (await this.db.conversations.get(id)) !== undefined
  }

  async putMessages(messages: readonly Message[]): Promise<void> {
    await this.db.transaction('rw', this.db.messages, this.db.files, async () => {
      await this.putFiles(messages.flatMap((message) => message.attachments))
      await this.db.messages.bulkPut(messages.map((message) => this.toRow(message)))
    })
  }

  /** Writes a message that must already be there; false when it is gone. */
  async updateMessage(message: Message): Promise<boolean> {
    return this.db.transaction('rw', this.db.messages, async () => {
      if ((await this.db.messages.where('id').equals(message.id).count()) === 0) return false
      await this.db.messages.put(this.toRow(message))
      return true
    })
  }

  async deleteMessages(ids: readonly string[]): Promise<void> {
    await this.db.messages.bulkDelete([...ids])
  }

  /** Files stay until `sweep`, so that the deletion can be undone from memory. */
  async deleteConversation(id: string): Promise<void> {
    await this.db.transaction('rw', this.db.conversations, this.db.messages, async () => {
      await this.db.messages.where({ conversationId: id }).delete()
      await this.db.conversations.delete(id)
    })
  }

  async draft(key: string): Promise<Pick<StoredDraft, 'text' | 'attachments'>> {
    return (await this.db.drafts.get(key)) ?? { text: '', attachments: [] }
  }

  /** The last draft whose key begins so is this key's from now on. The tab that wrote it, if it still lives, keeps it again when
   * it goes on writing or is closed. */
  async takeOverDraft(key: string, prefix: string): Promise<Pick<StoredDraft, 'text' | 'attachments'>> {
    return this.db.transaction('rw', this.db.drafts, async () => {
      const left = await this.db.drafts.where('key').startsWith(prefix).last()
      if (!left) return { text: '', attachments: [] }
      await this.db.drafts.delete(left.key)
      await this.db.drafts.put({ ...left, key })
      return left
    })
  }

  /** An empty draft is none. */
  async putDraft(key: string, text: string, attachments: readonly Attachment[]): Promise<void> {
    if (!text && attachments.length === 0) await this.db.drafts.delete(key)
    else await this.db.drafts.put({ key, text, attachments: attachments.map(withoutPassword) })
  }

  async putSnapshots(snapshots: readonly Snapshot[]): Promise<void> {
    await this.db.transaction('rw', this.db.conversations, this.db.messages, this.db.files, async () => {
      for (const { conversation, messages } of snapshots) {
        await this.putConversation(conversation)
        await this.putMessages(messages)
      }
    })
  }

  /** Conversations in whose texts `words` occur, each with the place of one of them. Titles are the list's own. */
  async search(words: string, limit = 200): Promise<Hit[]> {
    const needle = words.trim().toLowerCase()
    if (!needle) return []
    const hits = new Map<string, string>()
    await this.db.messages
      .toCollection()
      .until(() => hits.size >= limit)
      .each(({ conversationId, text }) => {
        if (hits.has(conversationId)) return
        const at = text.toLowerCase().indexOf(needle)
        if (at >= 0) hits.set(conversationId, snippetAround(text, at, needle.length))
      })
    return [...hits].map(([conversationId, snippet]) => ({ conversationId, snippet }))
  }

  /** The message that a request of the server's log was for. */
  async messageOf(requestId: string): Promise<Pick<Message, 'id' | 'conversationId'> | undefined> {
    return this.db.messages.filter(({ stats, failure }) => [stats?.requestId, failure?.requestId].includes(requestId)).first()
  }

  /** Drops files that no message names. Young ones stay: another tab may be about to undo a deletion. */
  async sweep(olderThanMs = 3_600_000): Promise<number> {
    return this.db.transaction('rw', this.db.messages, this.db.files, async () => {
      const named = new Set((await this.db.messages.orderBy('fileIds').uniqueKeys()) as string[])
      const old = (await this.db.files.where('addedAt').belowOrEqual(Date.now() - olderThanMs).primaryKeys()) as string[]
      const unnamed = old.filter((id) => !named.has(id))
      await this.db.files.bulkDelete(unnamed)
      return unnamed.length
    })
  }

  private async putFiles(attachments: readonly Attachment[]): Promise<void> {
    for (const { blob } of attachments) {
      if (!blob) continue
      const id = this.fileId(blob)
      if ((await this.db.files.where('id').equals(id).count()) === 0) await this.db.files.add({ id, blob, addedAt: Date.now() })
    }
  }

  private fileId(blob: Blob): string {
    let id = this.ids.get(blob)
    if (!id) this.remember((id = newId()), blob)
    return id
  }

  private remember(id: string, blob: Blob): void {
    this.ids.set(blob, id)
    this.blobs.set(id, new WeakRef(blob))
  }

  private async loadBlobs(fileIds: readonly string[]): Promise<ReadonlyMap<string, Blob>> {
    const found = new Map<string, Blob>()
    for (const id of new Set(fileIds)) {
      const blob = this.blobs.get(id)?.deref()
      if (blob) found.set(id, blob)
    }
    const missing = [...new Set(fileIds)].filter((id) => !found.has(id))
    for (const file of await this.db.files.bulkGet(missing)) {
      if (!file) continue
      this.remember(file.id, file.blob)
      found.set(file.id, file.blob)
    }
    return found
  }

  private toRow(message: Message): StoredMessage {
    const attachments = message.attachments.map(withoutPassword).map(({ blob, ...rest }) => (blob ? { ...rest, fileId: this.fileId(blob) } : rest))
    const fileIds = attachments.flatMap((file: StoredAttachment) => file.fileId ?? [])
    return plain({ ...message, attachments, fileIds: [...new Set(fileIds)] })
  }
}

function fromRow({ fileIds: _, attachments, ...message }: StoredMessage, blobs: ReadonlyMap<string, Blob>): Message {
  return {
    ...message,
    attachments: attachments.map(({ fileId, ...rest }) => {
      const blob = fileId === undefined ? undefined : blobs.get(fileId)
      return blob ? { ...rest, blob } : rest
    }),
  }
}

/** Vue's proxies and undefined fields do not go into IndexedDB; rows without Blobs are JSON. */
function plain<T>(row: T): T {
  return JSON.parse(JSON.stringify(row)) as T
}

function snippetAround(text: string, at: number, length: number): string {
  const from = Math.max(0, at - 30)
  const to = Math.min(text.length, at + length + 60)
  const piece = text.slice(from, to).replace(/\s+/g, ' ').trim()
  return `${from > 0 ? '… ' : ''}${piece}${to < text.length ? ' …' : ''}`
}

/** randomUUID is missing on plain-http pages of other machines in the network. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** What the browser's storage refused, in the page's terms. */
export function storageFailure(error: unknown): Failure {
  const names = namesOf(error)
  if (names.includes('QuotaExceededError')) {
    return { code: 'storage_full', message: 'This browser has no room left for conversations.' }
  }
  return { code: 'storage_unavailable', message: `This browser does not keep conversations (${names[0] ?? 'unknown'}).` }
}

/** Dexie wraps the browser's error: AbortError outside, QuotaExceededError inside. */
function namesOf(error: unknown, depth = 0): string[] {
  if (typeof error !== 'object' || error === null || depth > 3) return []
  const { name, inner } = error as { name?: unknown; inner?: unknown }
  return [...(typeof name === 'string' ? [name] : []), ...namesOf(inner, depth + 1)]
}
