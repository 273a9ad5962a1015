import { describe, expect, it } from 'vitest'
import { events, type ServerEvent } from './sse'

const RECORDED = `: keep-alive\n\ndata: {"a":"产地：云南 😀"}\n\nevent: error\ndata: one\ndata: two\n\ndata: [DONE]\n\n`
const EXPECTED = [{ data: '{"a":"产地：云南 😀"}' }, { event: 'error', data: 'one\ntwo' }, { data: '[DONE]' }]

function inPieces(bytes: Uint8Array, size: number, onCancel?: () => void): Response {
  let at = 0
  return new Response(
    new ReadableStream({
      pull(controller) {
        if (at >= bytes.length) return controller.close()
        controller.enqueue(bytes.slice(at, (at += size)))
      },
      cancel: onCancel,
    }),
  )
}

async function all(response: Response): Promise<ServerEvent[]> {
  const found: ServerEvent[] = []
  for await (const event of events(response)) found.push(event)
  return found
}

describe('server-sent events', () => {
  it('are the same wherever the bytes are split, in the midst of characters too', async () => {
    const bytes = new TextEncoder().encode(RECORDED)
    for (let size = 1; size <= bytes.length; size++) expect(await all(inPieces(bytes, size))).toEqual(EXPECTED)
  })

  it('may have lines that end like those of Windows', async () => {
    const bytes = new TextEncoder().encode(RECORDED.replaceAll('\n', '\r\n'))
    for (const size of [1, 2, 3, 7]) expect(await all(inPieces(bytes, size))).toEqual(EXPECTED)
  })

  it('close the connection when the reader leaves early', async () => {
    let cancelled = false
    const response = inPieces(new TextEncoder().encode(RECORDED.repeat(50)), 20, () => (cancelled = true))
    for await (const _ of events(response)) break
    expect(cancelled).toBe(true)
  })

  it('of a response without a body are none', async () => {
    expect(await all(new Response(null, { status: 204 }))).toEqual([])
  })
})
