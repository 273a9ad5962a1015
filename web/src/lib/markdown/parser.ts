/** markdown-it as answers need it: no HTML, GFM, formulas, Chinese emphasis, links that can do no harm. */
import createMarkdownIt, { type Env, type MarkdownIt } from 'markdown-it'
import { cjkFlanking } from './cjk'
import { links } from './links'
import { math } from './math'
import { shapes } from './shapes'

/** What one answer shares between its blocks. */
export interface MarkdownEnv extends Env {
  references?: Record<string, { title: string; href: string }>
  streaming?: boolean // the end is still open: what is not closed yet is shown as if it were
}

export function createParser(): MarkdownIt {
  // A line of an answer is a line on the page: read text comes line by line.
  const parser = createMarkdownIt({ html: false, linkify: true, breaks: true, typographer: false, maxNesting: 40 })
  return parser.use(cjkFlanking).use(links).use(math).use(shapes)
}

export const parser = createParser()
