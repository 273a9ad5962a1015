/**
 * Formulas: $...$, $$...$$, \(...\), \[...\] and bare \begin{align}. They become elements that hold their TeX as text;
 * `formulas.ts` sets them once KaTeX is there. A single $ is money more often than mathematics, so it has to prove itself.
 */
import type { MarkdownIt } from 'markdown-it'
import type { StateBlock, StateInline } from 'markdown-it'
import type { MarkdownEnv } from './parser'

const ENVIRONMENT = /^\\begin\{((?:equation|align|aligned|gather|multline|alignat|cases|array|[pbvBV]?matrix)\*?)\}/

export function math(parser: MarkdownIt): void {
  parser.inline.ruler.before('escape', 'math_inline', inlineMath)
  parser.block.ruler.before('fence', 'math_block', blockMath, { alt: ['paragraph', 'blockquote', 'list'] })
  const { escapeHtml } = parser.utils
  const element = (tag: string, mode: string, tex: string) => `<${tag} class="math" data-math="${mode}" data-tex="${escapeHtml(tex)}">${escapeHtml(tex)}</${tag}>`
  parser.renderer.rules.math_inline = (tokens, index) => element('span', tokens[index]?.info ?? 'inline', tokens[index]?.content ?? '')
  parser.renderer.rules.math_block = (tokens, index) => `${element('div', tokens[index]?.info ?? 'display', tokens[index]?.content ?? '')}\n`
}

function inlineMath(state: StateInline, silent: boolean): boolean {
  const rest = state.src.slice(state.pos, state.pos + 2)
  if (rest === '\\(') return delimited(state, silent, '\\(', '\\)', 'inline')
  if (rest === '\\[') return delimited(state, silent, '\\[', '\\]', 'display')
  if (rest === '$$') return delimited(state, silent, '$$', '$$', 'display')
  return rest[0] === '$' && dollars(state, silent)
}

function delimited(state: StateInline, silent: boolean, open: string, close: string, mode: string): boolean {
  const from = state.pos + open.length
  const end = findClose(state.src, from, state.posMax, close)
  if (end < 0 && !(isOpen(state) && from < state.posMax)) return false
  const tex = state.src.slice(from, end < 0 ? state.posMax : end).trim()
  if (!tex) return false
  return push(state, silent, tex, end < 0 ? 'open' : mode, end < 0 ? state.posMax : end + close.length)
}

/** No blank inside the dollars, no digit behind them, no letter or digit before them, and something that is no price. */
function dollars(state: StateInline, silent: boolean): boolean {
  const from = state.pos + 1
  if (/[\s$]/.test(state.src[from] ?? ' ') || /[A-Za-z0-9\\]/.test(state.src[state.pos - 1] ?? ' ')) return false
  const line = state.src.slice(from, state.posMax).split('\n', 1)[0] as string
  for (let end = line.indexOf('$'); end > 0; end = line.indexOf('$', end + 1)) {
    const tex = line.slice(0, end)
    if (/[\s\\]$/.test(tex) || /[0-9A-Za-z]/.test(line[end + 1] ?? ' ')) continue
    return looksLikeMath(tex) && push(state, silent, tex, 'inline', from + end + 1)
  }
  return false
}

function looksLikeMath(tex: string): boolean {
  if (/^\d[\d.,]*\s+[A-Za-z]{2,}/.test(tex)) return false // "5 apples cost 10"
  if (/[\\^_={}<>+|]/.test(tex)) return true
  return tex.length <= 40 && tex.split(/[\s,;:()*/'-]+/).every((word) => /^(?:[A-Za-z]{0,2}|\d+(?:\.\d+)?[A-Za-z]?|\W*)$/.test(word))
}

function push(state: StateInline, silent: boolean, tex: string, mode: string, end: number): boolean {
  if (!silent) {
    const token = state.push('math_inline', 'span', 0)
    token.content = tex
    token.info = mode
  }
  state.pos = end
  return true
}

function blockMath(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  const begin = lineOf(state, startLine)
  if ((state.sCount[startLine] ?? 0) - state.blkIndent >= 4) return false
  const environment = ENVIRONMENT.exec(begin)
  const open = environment ? '' : begin.startsWith('$$') ? '$$' : begin.startsWith('\\[') ? '\\[' : null
  if (open === null) return false
  const close = environment ? `\\end{${environment[1]}}` : open === '$$' ? '$$' : '\\]'
  const lines: string[] = []
  let closed = false
  let line = startLine
  for (; line < endLine && !closed; line++) {
    if (line > startLine && (state.sCount[line] ?? 0) < state.blkIndent && !state.isEmpty(line)) break
    const text = line === startLine ? begin.slice(open.length) : lineOf(state, line)
    const at = findClose(text, 0, text.length, close)
    closed = at >= 0
    if (closed && text.slice(at + close.length).trim()) return false // goes on in the line: inline
    lines.push(closed ? text.slice(0, at + (environment ? close.length : 0)) : text)
  }
  if (!closed && !isOpen(state)) return false
  const tex = lines.join('\n').trim()
  if (!tex && closed) return false
  if (silent) return true
  const token = state.push('math_block', 'div', 0)
  token.content = tex
  token.info = closed ? 'display' : 'open'
  token.map = [startLine, line]
  state.line = line
  return true
}

function lineOf(state: StateBlock, line: number): string {
  return state.src.slice((state.bMarks[line] ?? 0) + (state.tShift[line] ?? 0), state.eMarks[line])
}

/** The closing delimiter, not one that is escaped: `\\]` ends a row of a matrix and then closes nothing. */
function findClose(text: string, from: number, to: number, close: string): number {
  for (let at = text.indexOf(close, from); at >= 0 && at + close.length <= to; at = text.indexOf(close, at + 1)) {
    let slashes = 0
    while (text[at - 1 - slashes] === '\\') slashes++
    if (slashes % 2 === 0) return at
  }
  return -1
}

function isOpen(state: { env: MarkdownEnv }): boolean {
  return state.env.streaming === true
}
