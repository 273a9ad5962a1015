/** A chat asked and its answer as deltas. The last delta is always `end`, also for an answer that was stopped; everything
 * that went wrong, before or inside the stream, is thrown as an ApiError. Leaving the loop aborts the request. */
import { reasonOf } from '@/lib/reason'
import type { ChatRequest, Delta, Failure, FinishReason, RunStats } from '@/types'
import { ApiError, request as send } from './http'
import { events } from './sse'
import { MissingFile, toWire } from './wire'

interface WireUsage {
  prompt_tokens?: number
  completion_tokens?: number
  prompt_tokens_details?: { cached_tokens?: number; image_tokens?: number } | null
}

interface WireChunk {
  model?: string
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null; reasoning?: string | null }
    finish_reason?: FinishReason | null
  }[]
  usage?: WireUsage | null
  error?: { message?: string; type?: string; code?: string | null }
}

export async function* streamChat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<Delta> {
  const clock = new Clock()
  let finish: FinishReason | undefined
  try {
    const body = await bodyOf(request)
    clock.start()
    const response = await send('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body,
      signal,
    })
    const requestId = response.headers.get('x-request-id') ?? undefined
    clock.note({ requestId, model: response.headers.get('x-flashweb-model') ?? undefined })
    for await (const { data } of events(response)) {
      if (data === '[DONE]') break
      const chunk = read(data, requestId)
      clock.count(chunk.usage)
      const choice = chunk.choices?.[0]
      const thought = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning
      if (thought) yield clock.token({ type: 'thinking', text: thought })
      if (choice?.delta?.content) yield clock.token({ type: 'text', text: choice.delta.content })
      if (choice?.finish_reason) finish = choice.finish_reason
    }
    if (!finish) throw broken('stream_cut', 'The answer ended before it was complete.', requestId)
  } catch (error) {
    if (!signal.aborted) throw asApiError(error, clock.stats.requestId)
    finish = 'stopped'
  }
  yield { type: 'end', finish, stats: clock.stop() }
}

async function bodyOf(request: ChatRequest): Promise<string> {
  try {
    return JSON.stringify(await toWire(request))
  } catch (error) {
    if (error instanceof MissingFile) throw broken('file_missing', error.message)
    throw error
  }
}

function read(data: string, requestId: string | undefined): WireChunk {
  let chunk: WireChunk
  try {
    chunk = JSON.parse(data) as WireChunk
  } catch {
    throw broken('stream_unreadable', 'The answer came in a form that this page cannot read.', requestId)
  }
  const { error } = chunk
  if (error) throw broken(error.code ?? error.type ?? 'error', error.message ?? 'The server gave no reason.', requestId)
  return chunk
}

function asApiError(error: unknown, requestId: string | undefined): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof TypeError) return broken('connection_lost', 'The connection to the server broke off.', requestId)
  return broken('page_error', reasonOf(error), requestId)
}

function broken(code: string, message: string, requestId?: string): ApiError {
  const failure: Failure = { code, message }
  if (requestId) failure.requestId = requestId
  return new ApiError(failure)
}

/** What the person at the browser waits, not what the server knows: the way there and back is in it. */
class Clock {
  readonly stats: RunStats = {}
  private began = performance.now()
  private first = 0
  private last = 0

  start(): void {
    this.began = performance.now()
  }

  note(known: RunStats): void {
    for (const [key, value] of Object.entries(known)) if (value !== undefined) Object.assign(this.stats, { [key]: value })
  }

  token(delta: Delta): Delta {
    this.last = performance.now()
    this.first ||= this.last
    return delta
  }

  count(usage: WireUsage | null | undefined): void {
    if (!usage) return
    this.note({
      promptTokens: usage.prompt_tokens,
      completionTokens: usage.completion_tokens,
      imageTokens: usage.prompt_tokens_details?.image_tokens,
      cachedTokens: usage.prompt_tokens_details?.cached_tokens,
    })
  }

  stop(): RunStats {
    this.stats.totalMs = performance.now() - this.began
    if (this.first) this.stats.firstTokenMs = this.first - this.began
    // Tokens after the first, over the time that they took: an answer in one piece has no speed.
    const tokens = (this.stats.completionTokens ?? 0) - 1
    const ms = this.last - this.first
    if (tokens > 0 && ms > 1) this.stats.tokensPerSecond = (tokens * 1000) / ms
    return this.stats
  }
}
