/** Bytes of a response into server-sent events. Knows nothing of chats. */
import { createParser } from 'eventsource-parser'

export interface ServerEvent {
  event?: string
  data: string
}

/** Leaving the loop early (break, return, throw) cancels the body, which closes the connection: that is how the server
 * hears that nobody waits any more. */
export async function* events(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return
  const reader = response.body.getReader()
  const decoder = new TextDecoder() // with `stream`, so that a character split over two pieces stays whole
  const ready: ServerEvent[] = []
  const parser = createParser({
    onEvent: ({ event, data }) => ready.push(event === undefined ? { data } : { event, data }),
  })
  try {
    for (;;) {
      const { done, value } = await reader.read()
      parser.feed(done ? decoder.decode() : decoder.decode(value, { stream: true }))
      yield* ready.splice(0)
      if (done) return
    }
  } finally {
    await reader.cancel().catch(() => undefined) // a body that broke off has nothing left to cancel
  }
}
