/** What a question with its files would take of the context. */

import type { Attachment } from '@/types'
import { choosePages } from './pictures/pdf'

export interface Cost {
  tokens: number
  unknown: number // files whose cost only the server knows: links, clips, formats that this browser cannot open
}

export const PICTURE_FRAME = 2 // the marks before and behind a picture
const PAGE_FRAME = 8 // and its number

export function costOfFiles(attachments: readonly Attachment[], pagesOf: (id: string) => number | null): Cost {
  let tokens = 0
  let unknown = 0
  for (const { id, kind, visualTokens, pages } of attachments) {
    const choice = kind === 'pdf' ? choosePages(pages ?? '', pagesOf(id)) : null
    const count = choice ? (choice.ok ? choice.count : null) : 1
    if (visualTokens === undefined || count === null) unknown += 1
    else tokens += count * (visualTokens + (kind === 'pdf' ? PAGE_FRAME : PICTURE_FRAME))
  }
  return { tokens, unknown }
}

/** A guess for a text, until the server has counted it: a Chinese character is most of a token, a Latin letter a quarter. */
export function guessTokens(text: string): number {
  const wide = text.match(/[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]/g)?.length ?? 0
  return Math.ceil(wide * 0.7 + (text.length - wide) / 4)
}
