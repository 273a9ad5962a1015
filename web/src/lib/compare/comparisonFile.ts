/** A comparison as a file for a colleague: JSON for programs, a page without any other file for eyes. */

import { escapeHtml as escaped } from '@/lib/escapeHtml'
import { toDataUrl } from '@/lib/pictures/dataUrl'
import { differences, measures, type Comparison } from './comparison'
import { wordDiff } from './wordDiff'

export interface FileWords {
  title: string
  made: string
  left: string
  right: string
  difference: string
  setting: string
  measure: (name: string) => string
  settingName: (name: string) => string
  settingValue: (name: string, value: unknown) => string
}

const picturesOf = (comparison: Comparison) =>
  Promise.all(
    comparison.pictures.map(async ({ name, kind, blob, url }) => ({ name, kind, url, data: blob ? await toDataUrl(blob) : undefined })),
  )

export async function comparisonJson(comparison: Comparison): Promise<string> {
  const { id: _, createdAt, ...rest } = comparison
  return JSON.stringify({ kind: 'flashweb-comparison', version: 1, createdAt: new Date(createdAt).toISOString(), ...rest, pictures: await picturesOf(comparison) }, null, 2)
}

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:1200px;margin:2rem auto;padding:0 1rem;color:#191d24;background:#fff}
img{max-width:320px;max-height:320px;margin:0 1rem 1rem 0}table{border-collapse:collapse;margin:1rem 0}
td,th{border:1px solid #ccd;padding:.25rem .6rem;text-align:left;vertical-align:top}.text{white-space:pre-wrap;overflow-wrap:anywhere}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.pair>*{border:1px solid #ccd;border-radius:8px;padding:.75rem;min-width:0}
del{background:#fbe9e7;color:#b3261e}ins{background:#e2f4e9;color:#1a6b3c}small{color:#576071}@media(max-width:600px){.pair{grid-template-columns:1fr}}`

/** Everything that came from people or models is escaped; the page has no script, and its policy allows none. */
export async function comparisonHtml(comparison: Comparison, words: FileWords): Promise<string> {
  const [left, right] = comparison.sides
  const row = ([name = '', ...cells]: string[]) => `<tr><th>${escaped(name)}</th>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`
  const table = (head: string, rows: string[][]) =>
    rows.length === 0 ? '' : `<table><tr><th>${[head, words.left, words.right].map(escaped).join('</th><th>')}</th></tr>${rows.map(row).join('')}</table>`
  const tags = { same: ['', ''], left: ['<del>', '</del>'], right: ['<ins>', '</ins>'] } as const
  const diff = wordDiff(left.answer.text, right.answer.text).map(({ kind, text }) => tags[kind][0] + escaped(text) + tags[kind][1])
  const pictures = (await picturesOf(comparison)).map(({ name, kind, data, url }) =>
    kind === 'image' && data ? `<img src="${escaped(data)}" alt="${escaped(name)}">` : `<p>${escaped(url ?? name)}</p>`,
  )
  const side = (name: string, at: 0 | 1) => {
    const { settings, answer } = comparison.sides[at]
    const own = settings.ownQuestion.trim() ? `<p class="text"><small>${escaped(settings.ownQuestion)}</small></p>` : ''
    return `<section><h2>${escaped(name)}</h2>${own}<div class="text">${escaped(answer.text || (answer.failure?.message ?? ''))}</div></section>`
  }
  return `<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escaped(words.title)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(words.title)}</h1><p class="text">${escaped(comparison.question)}</p><div>${pictures.join('')}</div>
<div class="pair">${side(words.left, 0)}${side(words.right, 1)}</div>
<h2>${escaped(words.difference)}</h2><div class="text">${diff.join('')}</div>
${table('', measures(left.answer.stats, right.answer.stats).map(({ name, values }) => [words.measure(name), ...values]))}
${table(words.setting, differences(left.settings, right.settings).map(([name, one, other]) => [words.settingName(name), words.settingValue(name, one), words.settingValue(name, other)]))}
<p><small>${escaped(words.made)}</small></p></body></html>
`
}
