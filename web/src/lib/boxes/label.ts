/** What a box is called by the words of its line: before it as a rule, behind it where the line begins with a box. */

export interface Span {
  start: number
  end: number
}

const LONGEST = 60
const REACH = 400 // characters of a line that are looked at
const MARKS = /<\|(?:begin|end)_of_box\|>|<\/?(?:b?box|ref)>/gi
/** "is located at", "的位置是" and the like lead to the box and name nothing. */
const LEADING_TO = /(?:\s*(?:\b(?:is|are|was|which|that|located|found|placed|visible|shown|seen|stands?|lies|at|in|on|with|its|the|bounding|box|bbox|coordinates?|position|location|region)\b|位于|位置|坐标|边界框|在|的|是|为|框)\s*[:：=]?)+\s*$/i
/** "Picture 2:" says where, not what. */
const PICTURE = /^(?:(?:in|on)\s+)?(?:picture|image|photo)\s*#?\d{1,2}\s*(?:[:：,，-]|$)\s*|^(?:在)?(?:图片?\s*\d{1,2}|第\s*[\d一二三四五六七八九十]{1,2}\s*(?:[张幅](?:图片?|照片)?|个?(?:图片?|照片)))\s*[:：中,，]?\s*/i
const FOLLOWING = /^(?:\s*(?:\b(?:is|are|shows?|contains?|the|a|an)\b|是|为))+\s*/i

export function labelOf(text: string, box: Span, previous?: Span, next?: Span): string | undefined {
  const lineStart = text.lastIndexOf('\n', box.start - 1) + 1
  const lineEnd = endOfLine(text, box.end)
  const sharesLine = previous !== undefined && previous.end > lineStart
  const before = tidyBefore(text.slice(Math.max(sharesLine ? previous.end : lineStart, box.start - REACH), box.start))
  const behind = () => tidyAfter(text.slice(box.end, Math.min(box.end + REACH, next && next.start < lineEnd ? next.start : lineEnd)))
  if (sharesLine ? beginsWithWords(text.slice(lineStart, box.start)) : before) return before ?? behind()
  return behind() ?? headingOf(text, lineStart)
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end
}

/** Whether a line of several boxes names them before ("cup [..], plate [..]") or behind ("[..] cup, [..] plate"). */
function beginsWithWords(line: string): boolean {
  return tidyBefore(line.slice(0, Math.max(0, line.search(/[[(［（【]\s*[\d０-９]/)))) !== undefined
}

/** "Prices:" alone on the line above. */
function headingOf(text: string, lineStart: number): string | undefined {
  const above = /([^\n]{1,80})[:：]\s*\*{0,2}\s*\n$/.exec(text.slice(Math.max(0, lineStart - 120), lineStart))
  return above ? tidyBefore(above[1] as string) : undefined
}

function tidyBefore(words: string): string | undefined {
  const cell = cells(words).at(-1) ?? ''
  const bare = strip(cell.replace(/^\s*(?:[-*+•]|#{1,6}|\d{1,3}[.)、])\s+/, '')).replace(PICTURE, '')
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
  return words.replace(/\*\*|__|`/g, '').replace(/^[\s*_`"'“”‘’「」:：,，;；。.\-–—=→>()（）[\]{}]+/, '').replace(/[\s*_`"'“”‘’「」:：,，;；。\-–—=→<([{（【［]+$/, '')
}

function shorten(words: string, keep: 'start' | 'end'): string | undefined {
  if (words.length <= LONGEST) return words || undefined
  const clauses = words.split(/[.。;；!！?？](?=\s|[^\x00-\x7f]|$)|[,，]\s*/).map(strip).filter(Boolean)
  const clause = (keep === 'end' ? clauses.at(-1) : clauses[0]) ?? words
  return clause.length <= LONGEST ? clause : `${clause.slice(0, LONGEST - 1).trimEnd()}…`
}
