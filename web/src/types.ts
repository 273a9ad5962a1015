/** The page's own vocabulary. Everything stored, shown or sent is made of these; `api/` translates them to the wire. */

export type Language = 'en' | 'zh'

/** Per mille of the picture's width and height (0..999), origin top left: the model's own scale. */
export type Box = readonly [x0: number, y0: number, x1: number, y1: number]

export interface Size {
  width: number
  height: number
}

export interface Point {
  x: number
  y: number
}

export interface Rect extends Size, Point {}

/** A file as the user gave it, ready to be sent. Bytes stay in `blob` (IndexedDB keeps Blobs as they are). */
export interface Attachment {
  id: string
  kind: 'image' | 'pdf' | 'video' | 'url'
  name: string
  blob?: Blob // not with kind 'url'
  url?: string // kind 'url': the server fetches it, behind its own guard
  width?: number // px, of the blob as it is sent
  height?: number
  originalBytes?: number // before shrinking
  visualTokens?: number // estimate for one picture or page
  pages?: string // PDF: "1-3,5"; all when absent
  password?: string // PDF: kept in memory only, never stored or exported
}

export type Role = 'user' | 'assistant'

export interface RunStats {
  model?: string
  requestId?: string
  firstTokenMs?: number // TTFT
  totalMs?: number
  promptTokens?: number
  completionTokens?: number
  imageTokens?: number
  cachedTokens?: number
  tokensPerSecond?: number
}

/** What went wrong, in words that can be shown: `code` is the server's, `hint` its next step. */
export interface Failure {
  code: string
  message: string
  hint?: string
  status?: number
  requestId?: string
  retryAt?: number // ms since 1970: the server asked to wait until then (Retry-After)
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'stopped' | 'error'

/** What has come of an answer, and how it ended. */
export interface Answer {
  text: string
  thinking: string
  thinkingMs: number
  finish?: FinishReason
  stats?: RunStats
  failure?: Failure
}

/** An answer that stands in no conversation, with what is happening to it. */
export interface AnswerRun extends Answer {
  state: 'idle' | 'waiting' | 'running' | 'done' | 'failed' | 'stopped'
}

/** One message of the tree. Siblings (same parent) are branches; the conversation shows one path. */
export interface Message {
  id: string
  conversationId: string
  parentId: string | null
  role: Role
  text: string
  attachments: Attachment[]
  thinking?: string
  thinkingMs?: number
  finish?: FinishReason
  failure?: Failure
  stats?: RunStats
  request?: ChatRequest // an answer keeps what was sent for it, pictures replaced by their attachment's id
  createdAt: number // ms since 1970
}

export interface Conversation {
  id: string
  title: string
  titleIsOwn: boolean // false: taken from the first question
  systemPrompt: string
  leafId: string | null // the end of the path that is shown
  createdAt: number
  updatedAt: number
}

/** Sampling; an absent value means the server's default. */
export interface Sampling {
  temperature?: number
  top_p?: number
  top_k?: number
  min_p?: number
  repetition_penalty?: number
  presence_penalty?: number
  frequency_penalty?: number
  max_tokens?: number
  seed?: number
  stop?: string[]
}

/** A request as this page asks it, before pictures become data URLs. */
export interface ChatRequest {
  model?: string
  systemPrompt: string
  turns: Turn[]
  sampling: Sampling
  thinking?: boolean
  responseSchema?: unknown // a JSON Schema: enforced by the server
  continueFinal?: boolean // go on with the last (assistant) turn
}

export interface Turn {
  role: Role
  text: string
  attachments: Attachment[]
}

/** What comes back while an answer is made. */
export type Delta =
  | { type: 'thinking'; text: string }
  | { type: 'text'; text: string }
  | { type: 'end'; finish: FinishReason; stats: RunStats }
