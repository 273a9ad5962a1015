import { describe, expect, it } from 'vitest'
import { toWire } from './wire'
import type { Attachment, ChatRequest } from '@/types'

const base: ChatRequest = { systemPrompt: '', turns: [], sampling: {} }
const file = (kind: Attachment['kind'], more: Partial<Attachment> = {}): Attachment => ({ id: kind, kind, name: `a.${kind}`, ...more })
const asked = (attachments: Attachment[], text = 'what?'): ChatRequest => ({ ...base, turns: [{ role: 'user', text, attachments }] })

describe('the body of a request', () => {
  it('is a plain text where there is no file, and has no field that was not set', async () => {
    expect(await toWire({ ...base, turns: [{ role: 'user', text: 'Hello', attachments: [] }], sampling: { top_p: undefined, stop: [], seed: 0 } })).toEqual({
      messages: [{ role: 'user', content: 'Hello' }],
      seed: 0,
      stream: true,
      stream_options: { include_usage: true },
      timings: true,
    })
  })

  it('has pictures as data URLs, before the question', async () => {
    const { messages } = await toWire(asked([file('image', { blob: new Blob([new Uint8Array([0xff, 0xd8, 0])], { type: 'image/jpeg' }) })]))
    expect(messages[0]!.content).toEqual([
      { type: 'image_url', image_url: { url: 'data:image/jpeg;base64,/9gA' } },
      { type: 'text', text: 'what?' },
    ])
  })

  it('has a PDF as a file with its pages, a clip as a video, a link as what its end says', async () => {
    const blob = new Blob(['x'])
    const { messages } = await toWire(
      asked([
        file('pdf', { blob, pages: ' 1-3 ' }),
        file('video', { blob }),
        file('url', { url: 'https://e.org/a.PDF?x=1' }),
        file('url', { url: 'https://e.org/a.mp4' }),
        file('url', { url: 'https://e.org/a' }),
      ], ''),
    )
    expect(messages[0]!.content).toEqual([
      { type: 'file', file: { file_data: 'data:application/pdf;base64,eA==', filename: 'a.pdf' }, pages: '1-3' },
      { type: 'video_url', video_url: { url: 'data:video/mp4;base64,eA==' } },
      { type: 'file', file: { file_url: 'https://e.org/a.PDF?x=1' } },
      { type: 'video_url', video_url: { url: 'https://e.org/a.mp4' } },
      { type: 'image_url', image_url: { url: 'https://e.org/a' } },
    ])
  })

  it('has the password of a PDF where it is sent, and not where it is shown as code', async () => {
    const request = asked([file('pdf', { blob: new Blob(['x']), password: 'secret' }), file('url', { url: 'https://e.org/a.pdf', password: 'secret' })], '')
    expect((await toWire(request)).messages[0]!.content).toMatchObject([{ password: 'secret' }, { password: 'secret' }])
    expect(JSON.stringify(await toWire(request, { pictures: 'placeholder' }))).not.toContain('secret')
  })

  it('needs no bytes where placeholders do', async () => {
    const { messages } = await toWire(asked([file('image', { name: 'receipt.png' })]), { pictures: 'placeholder' })
    expect(messages[0]!.content).toContainEqual({ type: 'image_url', image_url: { url: 'data:image/png;base64,<receipt.png>' } })
  })

  it('never thinks where it goes on with a text: the server refuses the two together', async () => {
    const wire = await toWire({ ...base, thinking: true, continueFinal: true, turns: [{ role: 'assistant', text: 'a', attachments: [] }] })
    expect(wire).toMatchObject({ continue_final_message: true, add_generation_prompt: false })
    expect(wire).not.toHaveProperty('chat_template_kwargs')
    expect(await toWire({ ...base, thinking: false })).toMatchObject({ chat_template_kwargs: { enable_thinking: false } })
  })

  it('holds the answer to a schema and the model to a system prompt', async () => {
    const wire = await toWire({ ...base, systemPrompt: 'Be short.', responseSchema: { type: 'object' }, model: 'm' })
    expect(wire.response_format!.json_schema.schema).toEqual({ type: 'object' })
    expect(wire.messages).toEqual([{ role: 'system', content: 'Be short.' }])
    expect(wire.model).toBe('m')
  })
})
