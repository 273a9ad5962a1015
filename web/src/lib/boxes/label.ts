/** What a box is called by the words of its line: before it as a rule, behind it where the line begins with a box. */

export interface Span {
  start: number
  end: number
}

const LONGEST = 60
const MARKS = /<\|(?:begin|end)_of_box\|>|<\/?(?:b?box|ref)>/gi
/** "is located at", "的位置是" and the like lead to the box and name nothing. */
const LEADING_TO = /(?:\s*(?:\b(?:is|are|was|which|that|located|found|placed|visible|shown|seen|stands?|lies|at|in|on|with|its|the|bounding|box|bbox|coordinates?|position|location|region)\b|位于|位置|坐标|边界框|在|的|是|为|框)\s*[:：=]?)+\s*$/i
const FOLLOWING = /^(?:\s*(?:\b(?:is|are|shows?|contains?|the|a|an)\b|是|为))+\s*/i

export function labelOf(text: string, box: Span, previous?: Span, next?: Span): string | undefined {
  const lineStart = text.lastIndexOf('\n', box.start - 1) + 1
  const lineEnd = endOfLine(text, box.end)
  const onLine = previous && previous.end > lineStart ? previous.end : lineStart
  const until = next && next.start < lineEnd ? next.start : lineEnd
  const before = text.slice(onLine, box.start)
  const firstBefore = firstWords(text, lineStart, box, previous)
  const behind = text.slice(box.end, until)
  if (!firstBefore) return tidyAfter(behind) ?? headingOf(text, lineStart)
  return tidyBefore(before) ?? tidyAfter(behind)
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end
}

/** Whether the line begins with words rather than with a box. */
function firstWords(text: string, lineStart: number, box: Span, previous?: Span): boolean {
  const upToBox = text.slice(lineStart, box.start)
  if (!previous || previous.end <= lineStart) return tidyBefore(upToBox) !== undefined
  return tidyBefore(upToBox.replace(/[[(［（【][\d\s.,，]*[\])］）】][\s\S]*$/, '')) !== undefined
}

/** "Prices:" alone on the line above. */
function headingOf(text: string, lineStart: number): string | undefined {
  const above = /([^\n]{1,80})[:：]\s*\*{0,2}\s*\n$/.exec(text.slice(Math.max(0, lineStart - 120), lineStart))
  return above ? tidyBefore(above[1] as string) : undefined
}

function tidyBefore(words: string): string | undefined {
  const cell = cells(words).at(-1) ?? ''
  const bare = strip(cell.replace(/^\s*(?:[-*+•]|#{1,6}|\d{1,3}[.)、])\s+/, ''))
  const named = strip(bare.replace(LEADING_TO, '')) || (LEADING_TO.test(bare) ? '' : bare)
  return shorten(named, 'end')
}

function tidyAfter(words: string): string | undefined {
  return shorten(strip(strip(cells(words)[0] ?? '').replace(FOLLOWING, '')), 'start')
}

function cells(words: string): string[] {
  return words.replace(MARKS, '').split('|').filter((cell) => /[\p{L}\p{N}\p{S}]/u.test(cell))
}

function strip(words: string): string {
  return words.replace(/^[\s*_`"'“”‘’「」:：,，;；。.\-–—=→>()（）[\]{}]+/, '').replace(/[\s*_`"'“”‘’「」:：,，;；。\-–—=→<([{（【［]+$/, '')
}

function shorten(words: string, keep: 'start' | 'end'): string | undefined {
  if (words.length <= LONGEST) return words || undefined
  const clauses = words.split(/[.。;；!！?？](?=\s|[^\x00-\x7f]|$)|[,，]\s*/).map(strip).filter(Boolean)
  const clause = (keep === 'end' ? clauses.at(-1) : clauses[0]) ?? words
  return clause.length <= LONGEST ? clause : `${clause.slice(0, LONGEST - 1).trimEnd()}…`
}
