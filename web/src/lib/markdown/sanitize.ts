/**
 * The one place where text becomes HTML. markdown-it lets no HTML of an answer through (html: false) and only makes what
 * stands here; DOMPurify goes last all the same, so that a mistake in a rule of ours is no hole.
 */
import DOMPurify from 'dompurify'

const TAGS = ['a', 'blockquote', 'br', 'code', 'del', 'div', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre', 's', 'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul']
const WORDS = ['class', 'dir', 'rel', 'role', 'start', 'tabindex', 'target', 'title', 'data-done', 'data-lang', 'data-math', 'data-tex'] // no addresses

export function toFragment(html: string): DocumentFragment {
  // What is not allowed stands first and is taken out: the DOM of the tests loses the first node whatever it is.
  const fragment = DOMPurify.sanitize(`<first></first>${html}`, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ['href', ...WORDS],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
    ADD_URI_SAFE_ATTR: WORDS,
    RETURN_DOM_FRAGMENT: true,
  })
  for (const link of fragment.querySelectorAll('a')) {
    link.setAttribute('target', '_blank')
    link.setAttribute('rel', 'noopener noreferrer nofollow')
  }
  return fragment
}
