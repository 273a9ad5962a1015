/** For the specs of this folder: a block as HTML, and an answer as it grows. */
import { BlockStream } from './blocks'
import type { BoxMark } from './boxLinks'
import { renderBlock, type Words } from './render'

const words: Words = { copy: 'Copy', code: 'code', table: 'Table', done: 'done', open: 'open' }

export function page(text: string, marks: readonly BoxMark[] = []): HTMLElement {
  return pageAt(text, false, marks)
}

/** What stands in the page when the text is this far. */
export function pageAt(text: string, streaming: boolean, marks: readonly BoxMark[] = [], stream = new BlockStream()): HTMLElement {
  const root = document.createElement('div')
  for (const block of stream.update(text, streaming)) root.append(renderBlock(block.source, block.env, marks, words))
  return root
}
