/** Conversations as files: Markdown to read, JSON that can be imported again, a web page that can be printed. */
import { escapeHtml } from '@/lib/escapeHtml'
import type { Words as MarkdownWords } from '@/lib/markdown/render'
import { toBase64, toDataUrl } from '@/lib/pictures/dataUrl'
import { safeType } from '@/lib/pictures/fileTypes'
import type { Attachment, Conversation, Message } from '@/types'
import { withoutPassword } from './secrets'
import { pathTo } from './tree'

export interface Kept {
  conversation: Conversation
  messages: Message[]
}

/** Words of the page's language. */
export interface ExportWords {
  user: string
  assistant: string
  thinking: string
  system: string
  made: string
  untitled: string
  language: string
  markdown: MarkdownWords
}

export const FORMAT = 'flashweb-conversations'
export const VERSION = 1

/** Everything, branches too; a picture that several messages share is in it once. */
export async function toJson(kept: readonly Kept[]): Promise<Blob> {
  const keys = new Map<Blob, string>()
  const keyOf = (blob: Blob) => {
    let key = keys.get(blob)
    if (key === undefined) keys.set(blob, (key = `f${keys.size}`))
    return key
  }
  const conversations = kept.map(({ conversation, messages }) => ({
    ...conversation,
    messages: messages.map((message) => ({
      ...message,
      attachments: message.attachments.map(withoutPassword).map(({ blob, ...rest }) => (blob ? { ...rest, file: keyOf(blob) } : rest)),
    })),
  }))
  const head = JSON.stringify({ format: FORMAT, version: VERSION, exportedAt: new Date().toISOString(), conversations }, null, 1)
  // Pictures one by one into the Blob: one string of all of them may be longer than a string can be.
  const parts: BlobPart[] = [head.slice(0, -2), ',\n "files": {']
  for (const [blob, key] of keys) {
    parts.push(`${parts.length > 2 ? ',' : ''}\n  ${JSON.stringify(key)}: {"type": ${JSON.stringify(blob.type)}, "base64": "${await toBase64(blob)}"}`)
  }
  return new Blob([...parts, '\n }\n}\n'], { type: 'application/json' })
}

/** The branch that is shown. */
function shownPath({ conversation, messages }: Kept): Message[] {
  return pathTo(new Map(messages.map((message) => [message.id, message])), conversation.leafId)
}

export function toMarkdown(kept: Kept, words: ExportWords): Blob {
  const { conversation } = kept
  const parts = [`# ${oneLine(conversation.title || words.untitled)}`]
  if (conversation.systemPrompt) parts.push(`## ${words.system}`, conversation.systemPrompt)
  for (const message of shownPath(kept)) {
    parts.push(`## ${words[message.role]}`)
    for (const file of message.attachments) parts.push(`- ${fileName(file)}`)
    if (message.thinking) parts.push(quoted(`${words.thinking}:\n${message.thinking}`))
    if (message.text) parts.push(message.text)
    if (message.failure) parts.push(quoted(message.failure.message))
  }
  return new Blob([`${parts.join('\n\n')}\n`], { type: 'text/markdown' })
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim()
const quoted = (text: string) => text.replace(/^/gm, '> ')
const fileName = (file: Attachment) => `${oneLine(file.url ?? file.name)}${file.pages ? ` (${file.pages})` : ''}`

export async function toHtml(kept: Kept, words: ExportWords): Promise<Blob> {
  const { conversation } = kept
  const title = escapeHtml(conversation.title || words.untitled)
  const parts: BlobPart[] = [
    `<!doctype html>\n<html lang="${escapeHtml(words.language)}">\n<head>\n<meta charset="utf-8">\n`,
    // The file stands alone wherever it is opened: it may run nothing and ask nobody.
    `<meta http-equiv="content-security-policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">\n`,
    `<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>${title}</title>\n<style>${STYLE}</style>\n</head>\n<body>\n<h1>${title}</h1>\n`,
  ]
  if (conversation.systemPrompt) parts.push(section('system', words.system, paragraph('text', conversation.systemPrompt)))
  for (const message of shownPath(kept)) parts.push(section(message.role, words[message.role], await body(message, words)))
  parts.push(`<footer>${escapeHtml(words.made)}, ${escapeHtml(new Date().toLocaleString(words.language))}</footer>\n</body>\n</html>\n`)
  return new Blob(parts, { type: 'text/html' })
}

async function body(message: Message, words: ExportWords): Promise<string> {
  const files = await Promise.all(message.attachments.map(figure))
  const thought = message.thinking ? `<details><summary>${escapeHtml(words.thinking)}</summary>${paragraph('text', message.thinking)}</details>` : ''
  const text = message.text ? await written(message, words) : ''
  const failure = message.failure ? paragraph('failure', message.failure.message) : ''
  return files.join('') + thought + text + failure
}

/** Questions stand as they were typed, as on the page. */
async function written({ role, text }: Message, words: ExportWords): Promise<string> {
  if (role === 'user') return paragraph('text', text)
  const { answerHtml } = await import('./answerHtml')
  return `<div class="answer">${await answerHtml(text, words.markdown)}</div>`
}

async function figure(file: Attachment): Promise<string> {
  const name = escapeHtml(fileName(file))
  if (file.kind !== 'image' || !file.blob) return `<p class="file">${name}</p>`
  const type = safeType('image', file.blob.type)
  const data = await toDataUrl(new Blob([file.blob], { type }))
  return `<figure><img src="${escapeHtml(data)}" alt="${name}"><figcaption>${name}</figcaption></figure>`
}

function section(kind: string, heading: string, inside: string): string {
  return `<section class="${kind}">\n<h2>${escapeHtml(heading)}</h2>\n${inside}\n</section>\n`
}

function paragraph(kind: string, text: string): string {
  return `<div class="${kind}">${escapeHtml(text)}</div>`
}

const STYLE = `
:root { color-scheme: light dark; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.55 system-ui, sans-serif; }
section { margin: 1rem 0; padding: .75rem 1rem; border: 1px solid #8885; border-radius: 10px; }
.user { background: #8881; }
h1 { font-size: 1.4rem; } h2 { margin: 0 0 .5rem; font-size: .85rem; opacity: .7; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.answer { overflow-wrap: anywhere; } .answer > :first-child { margin-top: 0; } .answer > :last-child { margin-bottom: 0; }
.answer h3, .answer h4, .answer h5, .answer h6 { margin: 1rem 0 .4rem; font-size: 1.05rem; }
.answer pre { margin: 0; padding: .6rem .75rem; overflow-x: auto; font: .85rem/1.5 ui-monospace, monospace; white-space: pre; overflow-wrap: normal; }
.answer code { font-family: ui-monospace, monospace; } .answer :not(pre) > code { padding: 0 .25em; background: #8882; border-radius: 4px; }
.code { margin: .75rem 0; border: 1px solid #8885; border-radius: 8px; } .code-head { padding: .25rem .75rem; font-size: .8rem; opacity: .7; border-bottom: 1px solid #8885; }
.table-scroll { overflow-x: auto; } table { border-collapse: collapse; } th, td { padding: .3rem .6rem; text-align: start; border: 1px solid #8885; }
.to-right { text-align: right; } .to-center { text-align: center; } .to-left { text-align: left; }
blockquote { margin: .75rem 0; padding-inline-start: .75rem; border-inline-start: 3px solid #8885; } .task-item { list-style: none; }
div.math { margin: .75rem 0; overflow-x: auto; text-align: center; }
.failure { color: #c33; }
figure { margin: 0 0 .75rem; } img { max-width: 100%; max-height: 24rem; } figcaption, .file, footer { font-size: .8rem; opacity: .7; }
@media print { body { margin: 0; max-width: none; } section { border: 0; padding: .25rem 0; } figure, tr, .code { break-inside: avoid; } .answer pre { white-space: pre-wrap; overflow-wrap: anywhere; } }
`

/** A name that every file system takes. */
export function fileNameFrom(title: string, extension: string): string {
  const stem = [...title.replace(/[\\/:*?"<>|\p{Cc}]+/gu, ' ').replace(/\s+/g, ' ').trim().replace(/^\.+|\.+$/g, '')].slice(0, 60).join('').trim()
  return `${stem || 'flashweb'}.${extension}`
}
