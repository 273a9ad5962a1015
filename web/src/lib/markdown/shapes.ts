/** What elements look like: task lists, tables that scroll, direction by content, headings below the page's own. */
import type { MarkdownIt } from 'markdown-it'
import type { StateCore, Token } from 'markdown-it'

const WITH_DIRECTION = new Set(['paragraph_open', 'heading_open', 'list_item_open', 'blockquote_open', 'th_open', 'td_open'])
const LANGUAGE = /^[\w+#.-]{1,30}$/

export function shapes(parser: MarkdownIt): void {
  parser.core.ruler.push('shapes', shape)
  const rules = parser.renderer.rules
  const { escapeHtml } = parser.utils
  rules.table_open = () => '<div class="table-scroll" role="region" tabindex="0"><table>\n'
  rules.table_close = () => '</table></div>\n'
  rules.task = (tokens, index) => `<span class="task" role="img" data-done="${tokens[index]?.info === 'x' ? 'yes' : 'no'}"></span>`
  rules.fence = rules.code_block = (tokens, index) => {
    const token = tokens[index]
    const name = token?.info.trim().split(/[\s{,]/, 1)[0] ?? ''
    const language = LANGUAGE.test(name) ? name.toLowerCase() : ''
    return `<pre data-lang="${escapeHtml(language)}"><code>${escapeHtml(token?.content ?? '')}</code></pre>\n`
  }
}

function shape(state: StateCore): void {
  state.tokens.forEach((token, index) => {
    if (WITH_DIRECTION.has(token.type)) token.attrSet('dir', 'auto')
    if (token.type === 'heading_open' || token.type === 'heading_close') token.tag = `h${Math.min(6, Number(token.tag[1]) + 2)}`
    if (token.type === 'th_open' || token.type === 'td_open') alignByClass(token)
    if (token.type === 'inline') taskOf(state, token, index)
  })
}

/** markdown-it writes style="text-align:right"; the page's policy allows no style in HTML. */
function alignByClass(token: Token): void {
  const side = /text-align:\s*(left|right|center)/.exec(String(token.attrGet('style') ?? ''))?.[1]
  token.attrs = token.attrs?.filter(([name]) => name !== 'style') ?? null
  if (side) token.attrSet('class', `to-${side}`)
}

function taskOf(state: StateCore, inline: Token, index: number): void {
  const item = state.tokens[index - 2]
  const words = inline.children?.[0]
  const mark = words?.type === 'text' && item?.type === 'list_item_open' ? /^\[([ xX])\](?:\s|$)/.exec(words.content) : null
  if (!mark || !words) return
  words.content = words.content.slice(mark[0].length)
  const task = new state.Token('task', 'span', 0)
  task.info = (mark[1] as string).toLowerCase()
  inline.children?.unshift(task)
  item?.attrSet('class', 'task-item')
}
