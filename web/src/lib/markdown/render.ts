/** A block's Markdown -> nodes, and what is done to them once they stand in the page. */
import { linkBoxes, type BoxMark } from './boxLinks'
import { coloured } from './colours'
import { loadFormulas, setFormula } from './formulas'
import { parser, type MarkdownEnv } from './parser'
import { toFragment } from './sanitize'

export interface Words {
  copy: string
  code: string
  table: string
  done: string
  open: string
}

export function renderBlock(source: string, env: MarkdownEnv, marks: readonly BoxMark[], words: Words): DocumentFragment {
  const fragment = toFragment(htmlOf(source, env))
  for (const pre of fragment.querySelectorAll('pre')) frameCode(pre, words)
  for (const region of fragment.querySelectorAll('.table-scroll')) region.setAttribute('aria-label', words.table)
  for (const task of fragment.querySelectorAll<HTMLElement>('.task')) task.setAttribute('aria-label', task.dataset.done === 'yes' ? words.done : words.open)
  linkBoxes(fragment, marks)
  return fragment
}

/** Text nested against the parser is shown as it is. */
function htmlOf(source: string, env: MarkdownEnv): string {
  try {
    return parser.render(source, env)
  } catch {
    return `<pre data-lang=""><code>${parser.utils.escapeHtml(source)}</code></pre>`
  }
}

/** A head with the language and a copy button over every piece of code. */
function frameCode(pre: HTMLPreElement, words: Words): void {
  const frame = element('div', 'code')
  frame.dataset.lang = pre.dataset.lang ?? ''
  const head = element('div', 'code-head')
  const name = element('span', 'code-language')
  name.textContent = pre.dataset.lang || words.code
  const copy = element('button', 'code-copy')
  copy.type = 'button'
  copy.dataset.copy = ''
  copy.textContent = words.copy
  head.append(name, copy)
  pre.replaceWith(frame)
  pre.tabIndex = 0 // a keyboard scrolls it
  pre.dir = 'ltr'
  pre.removeAttribute('data-lang')
  frame.append(head, pre)
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  made.className = className
  return made
}

/** Formulas and colours of what stands in the page. `closed`: no more text comes, so code may be coloured. */
export async function finish(root: HTMLElement, closed: boolean, marks: readonly BoxMark[]): Promise<void> {
  const formulas = [...root.querySelectorAll<HTMLElement>('.math:not([data-set]):not([data-math="open"])')]
  if (formulas.length) {
    const engine = await loadFormulas()
    for (const formula of formulas) if (!formula.hasAttribute('data-set')) setFormula(formula, engine)
  }
  if (closed) await Promise.all([...root.querySelectorAll<HTMLElement>('.code:not([data-coloured])')].map((frame) => colour(frame, marks)))
}

async function colour(frame: HTMLElement, marks: readonly BoxMark[]): Promise<void> {
  const code = frame.querySelector('code')
  const text = code?.textContent ?? ''
  const fragment = await coloured(text, frame.dataset.lang ?? '')
  if (!code || !fragment || code.textContent !== text || frame.hasAttribute('data-coloured')) return
  const own = new Set([...code.querySelectorAll<HTMLElement>('[data-box]')].map((button) => button.dataset.box))
  linkBoxes(fragment, marks.filter(({ id }) => own.has(id)))
  code.replaceChildren(fragment)
  frame.dataset.coloured = ''
}
