/**
 * The last block of an answer that is still being written, closed as it probably will be: bold that has begun is bold, a
 * link shows its words, a table is a table from its first line. Nothing jumps when the rest arrives.
 */

/** `follows`: other blocks stand before it, so that digits alone may become the next number of a list. */
export function heal(source: string, follows = false): string {
  const fence = openFence(source)
  if (fence) return fence.hidden
  const calm = withTable(withoutLoneMarks(withoutLoneNumber(source, follows)))
  const lastPart = lastParagraph(calm)
  return calm.slice(0, calm.length - lastPart.length) + closeInline(withoutHalfLink(lastPart))
}

/** In an open fence only the half-written closing line is hidden. */
function openFence(source: string): { hidden: string } | null {
  let open: string | null = null
  for (const line of source.split('\n')) {
    const mark = /^\s*(?:[-*+>]\s+|\d{1,9}[.)]\s+)*(`{3,}|~{3,})([^`]*)$/.exec(line)
    if (!mark) continue
    const [fence, info] = [mark[1] as string, mark[2] as string]
    if (open === null) open = fence
    else if (fence[0] === open[0] && fence.length >= open.length && !info.trim()) open = null
  }
  return open === null ? null : { hidden: source.replace(/\n[ \t]*(?:`{1,2}|~{1,2})$/, '\n') }
}

/** Signs at the very end that may be the beginning of anything: a line of "-" would turn the paragraph above it into a heading. */
function withoutLoneMarks(source: string): string {
  return source
    .replace(/<(?:\|[a-z_]{0,20}\|?)?$/i, '') // half of a box mark
    .replace(/(^|\n)[ \t]*(?:[-*+]|#{1,6}|>|=+|-{1,2}|\*{1,2}|_{1,3}|`{1,2}|~{1,2}|\$)[ \t]*$/, '$1')
    .replace(/(\n[ \t]*(?:[-*+]|\d{1,3}[.)])[^\n]*\n+[ \t]*)\d{1,3}[.)]?$/, '$1')
    .replace(/\[[ xX]?$/, '')
    .replace(/\\$/, '')
}

/** "2" after a list may be its next item, "2." alone is an empty one. */
function withoutLoneNumber(source: string, follows: boolean): string {
  const number = /^\s*(\d{1,3})([.)]?)\s*$/.exec(source)
  if (!number) return source
  return follows ? '' : number[2] ? `${number[1]}\\${number[2]}` : source
}

/** The header row of a table is one before its second row has come. */
function withTable(source: string): string {
  const match = /(?:^|\n)([ \t]*\|[^\n]*)(\n[ \t|:-]*)?$/.exec(source)
  if (!match) return source
  const words = closeInline((match[1] as string).trimEnd())
  const header = /\|$/.test(words) && words.trim() !== '|' ? words : `${words} |` // its first row grows cell by cell
  const begin = match.index + (source[match.index] === '\n' ? 1 : 0)
  if (/\|[^\n]*\|[^\n]*\n$/.test(source.slice(0, begin))) return source // a row of a table that stands already
  const columns = header.trim().replace(/\\\|/g, '').replace(/^\||\|$/g, '').split('|').length
  const rule = `|${' --- |'.repeat(columns)}`
  return `${source.slice(0, begin)}${header}\n${match[2] && ruleIsWhole(match[2], columns) ? match[2].trim() : rule}\n`
}

function ruleIsWhole(rule: string, columns: number): boolean {
  const cells = rule.trim().replace(/^\||\|$/g, '').split('|')
  return cells.length === columns && cells.every((cell) => /^\s*:?-+:?\s*$/.test(cell))
}

function withoutHalfLink(part: string): string {
  if ((part.match(/`/g) ?? []).length % 2) return part // inside code
  return part.replace(/!?\[([^[\]\n]*)\]\([^()\n]*$/, '$1').replace(/!\[([^[\]\n]*)\]?$/, '$1').replace(/(?<!\\)\[([^[\]\n\d][^[\]\n]*)$/, '$1')
}

/** Inline marks reach no further than a paragraph, an item, a cell. */
function lastParagraph(source: string): string {
  const from = Math.max(source.lastIndexOf('\n\n') + 1, source.search(/\n[ \t]*(?:[-*+]|\d{1,9}[.)]|#{1,6}|>|\|)[^\n]*$/))
  return from > 0 ? source.slice(from) : source
}

const MARKS = /\\[\s\S]|(`+)|\$\$/g

function closeInline(part: string): string {
  let math: string | null = null
  const pattern = new RegExp(MARKS)
  for (let match = pattern.exec(part); match; match = pattern.exec(part)) {
    const [all, ticks] = match
    if (all === '$$') math = math ? null : all
    if (all === '\\(' || all === '\\[') math = all
    if (all === '\\)' || all === '\\]') math = null
    if (math || !ticks) continue
    const end = closingTicks(part, pattern.lastIndex, ticks)
    if (end < 0) return openCode(part, match.index, ticks) + closers(openAt(part.slice(0, match.index)))
    pattern.lastIndex = end
  }
  if (math) return part // shown as an open formula
  return closeEmphasis(part)
}

/** The run at the very end closes what is open, half or whole; with nothing open it opens what comes next and waits. */
function closeEmphasis(part: string): string {
  const run = /(?<!\\)(?:\*{1,3}|_{1,3}|~{1,2})$/.exec(part)?.[0] ?? ''
  const body = part.slice(0, part.length - run.length)
  const stack = openAt(body)
  if (!run) return finish(part, stack)
  if (!stack.length) return run[0] === '_' && /\w$/.test(body) ? part : body
  return run === stack.at(-1) ? finish(part, stack.slice(0, -1)) : finish(body, stack)
}

/** A run of ticks of the same length closes; shorter or longer ones are content. */
function closingTicks(part: string, from: number, ticks: string): number {
  for (const run of part.slice(from).matchAll(/`+/g)) if (run[0].length === ticks.length) return from + run.index + ticks.length
  return -1
}

function openCode(part: string, at: number, ticks: string): string {
  const code = part.slice(at + ticks.length).replace(/`+$/, '')
  return code.trim() ? `${part.slice(0, at)}${ticks}${code.trimEnd()}${ticks}` : part.slice(0, at)
}

function openAt(part: string): string[] {
  const stack: string[] = []
  for (const match of part.matchAll(/\\[\s\S]|`+[^`]*`+|(\*{1,3}|_{1,3}|~~)/g)) {
    if (match[1]) flank(stack, match[1], part[match.index - 1] ?? ' ', part[match.index + match[0].length] ?? '')
  }
  return stack
}

function flank(stack: string[], mark: string, before: string, after: string): void {
  const top = stack.at(-1)
  if (top === mark && !/\s/.test(before)) stack.pop()
  else if (top && top[0] === mark[0] && top.length + mark.length > 3 && !/\s/.test(before)) stack.length -= 1
  else if (after && !/\s/.test(after) && !(mark[0] === '_' && /\w/.test(before))) stack.push(mark)
}

function finish(part: string, stack: string[]): string {
  return stack.length ? part.trimEnd() + closers(stack) : part
}

function closers(stack: string[]): string {
  return [...stack].reverse().join('')
}
