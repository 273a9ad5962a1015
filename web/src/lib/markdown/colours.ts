/** Colours for code that is complete. The plain text stands until they are there; they never change it. */
import type { HLJSApi } from 'highlight.js'
import { knownLanguage, loadLanguage } from './languages'
import { toFragment } from './sanitize'

const LONGEST = 30_000 // characters; colouring more than that is felt

let engine: Promise<HLJSApi> | null = null

export async function coloured(code: string, name: string): Promise<DocumentFragment | null> {
  const language = knownLanguage(name)
  if (!language || code.length > LONGEST) return null
  engine ??= import('highlight.js/lib/core').then((module) => module.default)
  const [hljs, definition] = await Promise.all([engine, loadLanguage(language)])
  if (!hljs.getLanguage(language)) hljs.registerLanguage(language, definition.default)
  return toFragment(hljs.highlight(code, { language, ignoreIllegals: true }).value)
}
