import { reasonOf } from '@/lib/reason'
import { isRecord } from '@/lib/record'
import type { Failure } from '@/types'
import { keyDesk, keyKindOf } from './keys'

/** Every request that did not succeed, in words that can be shown. A request that was aborted is an AbortError instead. */
export class ApiError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message)
    this.name = 'ApiError'
  }
}

type Watcher = (failure: Failure, path: string) => void
const watchers = new Set<Watcher>()

/** Hears every failure, so that the server's state need not wait for the next look at it. Returns how to stop. */
export function watchFailures(watcher: Watcher): () => void {
  watchers.add(watcher)
  return () => watchers.delete(watcher)
}

function failed(failure: Failure, path: string): ApiError {
  for (const watcher of watchers) watcher(failure, path)
  return new ApiError(failure)
}

export interface RequestOptions {
  askForKey?: boolean // false: a 401 is a failure like others
}

/**
 * Asks our own server. A 401 asks the user for a key and tries once more. Throws `ApiError` for anything but a 2xx.
 */
export async function request(path: string, init: RequestInit = {}, { askForKey = true }: RequestOptions = {}): Promise<Response> {
  if (!/^\/(?![/\\])/.test(path)) throw new TypeError(`a path of this server is needed, not ${path}`) // keys go nowhere else
  const kind = keyKindOf(path)
  const sent = keyDesk().current(kind)
  let response = await send(path, init, sent)
  if (response.status === 401) {
    const failure = await failureOf(response)
    const current = keyDesk().current(kind)
    const changedMeanwhile = current !== null && current !== sent
    const key = changedMeanwhile ? current : askForKey ? await unlessAborted(keyDesk().ask(kind, failure), init.signal) : null
    if (key === null) throw failed(failure, path)
    response = await send(path, init, key)
  }
  if (!response.ok) throw failed(await failureOf(response), path)
  return response
}

export async function getJson<T>(path: string, signal?: AbortSignal, options?: RequestOptions): Promise<T> {
  return (await readJson(await request(path, { signal }, options), path)) as T
}

export async function postJson<T>(path: string, body: unknown, signal?: AbortSignal, options?: RequestOptions): Promise<T> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  }
  const response = await request(path, init, options)
  return (await readJson(response, path)) as T
}

async function send(path: string, init: RequestInit, key: string | null): Promise<Response> {
  const headers = new Headers(init.headers)
  if (key !== null) headers.set('authorization', `Bearer ${key}`)
  try {
    return await fetch(path, { ...init, headers, credentials: 'omit' })
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw failed({ code: 'unreachable', message: reasonOf(error) }, path)
  }
}

async function readJson(response: Response, path: string): Promise<unknown> {
  try {
    return await response.json()
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw failed({ code: 'bad_answer', message: `${path} did not answer JSON`, status: response.status, requestId: requestIdOf(response) }, path)
  }
}

const requestIdOf = (response: Response): string | undefined => response.headers.get('x-request-id') ?? undefined

/** The failure that an answer tells: OpenAI's envelope, `{code, msg}` of the infer paths, or whatever a proxy says. */
export async function failureOf(response: Response): Promise<Failure> {
  const text = await response.text().catch(() => '')
  return { ...failureIn(text, response.status), status: response.status, requestId: requestIdOf(response), ...waitOf(response) }
}

const LONGEST_WAIT_S = 3600

/** When the server wants to be asked again: seconds, or a date as a proxy may write it. */
function waitOf(response: Response): Pick<Failure, 'retryAt'> {
  const said = response.headers.get('retry-after')?.trim()
  if (!said) return {}
  const seconds = /^\d+$/.test(said) ? Number(said) : (Date.parse(said) - Date.now()) / 1000
  return seconds > 0 ? { retryAt: Date.now() + Math.min(seconds, LONGEST_WAIT_S) * 1000 } : {}
}

function failureIn(text: string, status: number): Failure {
  const body = parsed(text)
  const error = isRecord(body) && isRecord(body.error) ? body.error : body
  if (isRecord(error)) {
    const message = [error.message, error.msg, error.detail].find((words) => typeof words === 'string')
    const code = [error.code, error.type].find((name) => typeof name === 'string')
    if (message !== undefined) return { code: String(code ?? `http_${status}`), message: String(message) }
  }
  return { code: `http_${status}`, message: `HTTP ${status}` } // a proxy's page says nothing that would help
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal | null): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
