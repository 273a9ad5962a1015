/** Links leave the page in a tab of their own and only for the web or mail. A picture of an answer is never fetched: it is a link. */
import type { MarkdownIt } from 'markdown-it'

const ALLOWED = /^(?:https?:\/\/|mailto:)/i

export function links(parser: MarkdownIt): void {
  // Not "README.md" or "train.py": only what says that it is an address.
  parser.linkify.set({ fuzzyLink: false, fuzzyIP: false, fuzzyEmail: false })
  // Control characters and blanks are what "java\nscript:" hides behind.
  parser.validateLink = (url) => ALLOWED.test(url) && !/[\u0000-\u0020\u007f]/.test(url)

  const rules = parser.renderer.rules
  rules.link_open = (tokens, index, options, _env, renderer) => {
    tokens[index]?.attrSet('target', '_blank')
    tokens[index]?.attrSet('rel', 'noopener noreferrer nofollow')
    return renderer.renderToken(tokens, index, options)
  }
  rules.image = (tokens, index, options, env, renderer) => {
    const token = tokens[index]
    if (!token) return ''
    const { escapeHtml } = parser.utils
    const source = String(token.attrGet('src') ?? '')
    const words = renderer.renderInlineAsText(token.children ?? [], options, env) || source
    return `<a class="picture-link" href="${escapeHtml(source)}" target="_blank" rel="noopener noreferrer nofollow">${escapeHtml(words)}</a>`
  }
}
