/**
 * An answer as top-level blocks while it grows. Text that is added can only change the last block (in CommonMark a block
 * that another one follows is over), so everything before it is parsed once and keeps its place in the page.
 */
import { heal } from './heal'
import { parser, type MarkdownEnv } from './parser'

export interface Block {
  source: string // as it is rendered: healed while it is open
  start: number // offsets in the text
  end: number
  open: boolean // may still change
  env: MarkdownEnv
  revision: number // of the link definitions it depends on
}

export class BlockStream {
  private text = ''
  private done: Block[] = []
  private env: MarkdownEnv = {}
  private definitions = 0
  private revision = 0

  update(text: string, streaming: boolean): readonly Block[] {
    const whole = plainLines(text)
    // The end is read as a whole once more: then the result is what it would be without streaming.
    if (!streaming || !this.text || !whole.startsWith(this.text)) this.reset()
    this.text = whole
    const tailStart = this.done.at(-1)?.end ?? 0
    const tail = this.split(whole.slice(tailStart), tailStart)
    const last = tail.pop()
    if (!last) return this.done
    if (!streaming) {
      this.text = '' // an answer may be continued: then its last block is open again
      return [...tail, last].map((block) => this.withRevision(block))
    }
    const open = [last]
    // "2" may become "2." and belong to the list before it: a block is over when the first line of the next one is.
    if (last.source.includes('\n')) this.done.push(...tail)
    else open.unshift(...tail.splice(-1)), this.done.push(...tail)
    return [...this.done, ...open].map((block) => this.withRevision(block)).flatMap((block) => this.shown(block, last))
  }

  private reset(): void {
    this.done = []
    this.env = {}
    this.definitions = 0
    this.revision++
  }

  private split(tail: string, offset: number): Block[] {
    const tokens: { level: number; nesting: number; map: [number, number] | null }[] = []
    parser.block.parse(tail, parser, { ...this.sharedEnv(), streaming: true }, tokens as never)
    const starts = lineStarts(tail)
    const firsts = tokens.filter(({ level, nesting, map }) => level === 0 && nesting >= 0 && map).map(({ map }) => starts[(map as [number, number])[0]] ?? 0)
    if (!firsts.length && tail.trim()) firsts.push(0) // nothing but link definitions
    const defined = Object.keys(this.env.references ?? {}).length
    if (defined !== this.definitions) [this.definitions, this.revision] = [defined, this.revision + 1]
    return firsts.map((first, i) => {
      const [start, end] = [i ? first : 0, firsts[i + 1] ?? tail.length]
      return { source: tail.slice(start, end), start: offset + start, end: offset + end, open: false, env: this.env, revision: 0 }
    })
  }

  /** Link definitions of every block, in one table. */
  private sharedEnv(): MarkdownEnv {
    this.env.references ??= {}
    return this.env
  }

  private shown(block: Block, last: Block): Block[] {
    if (block.start !== last.start) return [block]
    const source = heal(block.source, block.start > 0)
    return source.trim() || block.start === 0 ? [{ ...block, source, open: true, env: { ...this.env, streaming: true } }] : []
  }

  /** Only a block with a reference in it has to be made anew when a definition arrives. */
  private withRevision(block: Block): Block {
    return this.definitions && /\]/.test(block.source) ? { ...block, revision: this.revision } : block
  }
}

/** Line ends as markdown-it wants them, every offset as it was. */
function plainLines(text: string): string {
  return text.includes('\r') || text.includes('\0') ? text.replace(/\r\n/g, ' \n').replace(/\r/g, '\n').replace(/\0/g, '\ufffd') : text
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}
