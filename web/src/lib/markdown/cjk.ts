/**
 * `**注意：**请看` is bold to everybody but CommonMark: its rule wants a space behind a closing mark that follows
 * punctuation, and Chinese, Japanese and Korean have no spaces. Beside such a character both directions are open.
 */
import type { MarkdownIt } from 'markdown-it'

const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef]/u

export function cjkFlanking(parser: MarkdownIt): void {
  const Base = parser.inline.State
  parser.inline.State = class extends Base {
    override scanDelims(start: number, canSplitWord: boolean) {
      const scanned = super.scanDelims(start, canSplitWord)
      const before = start > 0 ? charBefore(this.src, start) : ' '
      const after = String.fromCodePoint(this.src.codePointAt(start + scanned.length) ?? 32)
      if (!CJK.test(before) && !CJK.test(after)) return scanned
      return {
        ...scanned,
        can_open: scanned.can_open || (!/\s/.test(after) && start + scanned.length < this.posMax),
        can_close: scanned.can_close || (!/\s/.test(before) && start > 0),
      }
    }
  }
}

function charBefore(text: string, at: number): string {
  return /[\udc00-\udfff]/.test(text[at - 1] as string) ? text.slice(at - 2, at) : (text[at - 1] as string)
}
