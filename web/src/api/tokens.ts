/** What a picture or a text costs in tokens, as the server counts it: exactly, without an answer being made. */

import { headerOfPng } from '@/lib/pictures/pngHeader'
import { PICTURE_FRAME } from '@/lib/promptCost'
import { postJson } from './http'

interface Counted {
  count: number
  max_model_len: number
}

type Content = string | { type: 'image_url'; image_url: { url: string } }[]

// Counting is no reason to ask for a key: sending is.
const count = async (content: Content, signal?: AbortSignal) =>
  (await postJson<Counted>('/tokenize', { messages: [{ role: 'user', content }] }, signal, { askForKey: false })).count

/**
 * Tokens of a picture of this size. The server counts pictures from their headers, so a header is all that is sent:
 * some 60 bytes instead of the picture.
 */
export async function countPicture(width: number, height: number, signal?: AbortSignal): Promise<number> {
  const url = `data:image/png;base64,${headerOfPng(width, height)}`
  const [whole, empty] = await Promise.all([count([{ type: 'image_url', image_url: { url } }], signal), count('', signal)])
  return whole - empty - PICTURE_FRAME
}

/** Tokens of a question alone, without what every prompt begins with. */
export async function countText(text: string, signal?: AbortSignal): Promise<number> {
  const [whole, empty] = await Promise.all([count(text, signal), count('', signal)])
  return whole - empty
}
