/** The little that is worth knowing of a PDF before the server draws it: its pages and their size. No pages are drawn here. */

import type { Size } from '@/types'

export interface PdfFacts {
  pages: number | null // null: could not be told
  width: number // points of the first page that says so; A4 otherwise
  height: number
}

const A4 = { width: 595, height: 842 }
const SERVER_DPI = 144
const MOST_STREAMS = 400

const latin = (bytes: Uint8Array) => new TextDecoder('latin1').decode(bytes)

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))
    return latin(new Uint8Array(await new Response(stream).arrayBuffer()))
  } catch {
    return '' // encrypted, or an object stream in another form; the count is then unknown, which is allowed
  }
}

/** Newer PDFs keep their page tree in compressed object streams; only those are opened, not the pictures. */
async function objectStreams(bytes: Uint8Array<ArrayBuffer>, text: string): Promise<string> {
  const found: string[] = []
  const start = /\/Type\s*\/ObjStm\b[^]{0,400}?stream\r?\n/g
  for (let match = start.exec(text); match && found.length < MOST_STREAMS; match = start.exec(text)) {
    const from = match.index + match[0].length
    const to = text.indexOf('endstream', from)
    if (to < 0) break
    const said = Number(/\/Length\s+(\d+)(?!\s+\d+\s+R)/.exec(match[0])?.[1])
    found.push(await inflate(bytes.slice(from, said > 0 && from + said <= to ? from + said : to)))
    start.lastIndex = to
  }
  return found.join('\n')
}

/** Dictionaries nest (`/Resources << >>`), so a page tree's count is looked for on both sides of its type. */
function countPages(text: string): number | null {
  const counts = [...text.matchAll(/\/Type\s*\/Pages\b/g)].flatMap(({ index }) => {
    const around = dictionaryAround(text, index)
    return [...around.matchAll(/\/Count\s+(\d+)/g)].map((match) => Number(match[1]))
  })
  if (counts.length > 0) return Math.max(...counts)
  const pages = text.match(/\/Type\s*\/Page(?![a-zA-Z])/g)?.length ?? 0
  return pages || null
}

function dictionaryAround(text: string, index: number): string {
  const from = text.lastIndexOf('<<', index)
  const to = text.indexOf('>>', index)
  return text.slice(Math.max(0, from), to < 0 ? index + 400 : to)
}

export async function readPdf(blob: Blob): Promise<PdfFacts> {
  const bytes = new Uint8Array(await blob.arrayBuffer())
  const plain = latin(bytes)
  const text = `${plain}\n${await objectStreams(bytes, plain)}`
  const box = /\/MediaBox\s*\[\s*(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)/.exec(text)
  const [x0, y0, x1, y1] = (box?.slice(1) ?? []).map(Number)
  const width = Math.abs((x1 ?? 0) - (x0 ?? 0))
  const height = Math.abs((y1 ?? 0) - (y0 ?? 0))
  return { pages: countPages(text), ...(width > 0 && height > 0 ? { width, height } : A4) }
}

/** Pixels of a page as the server draws it. */
export function pageSize({ width, height }: Size): Size {
  const px = (points: number) => Math.max(1, Math.round((points * SERVER_DPI) / 72))
  return { width: px(width), height: px(height) }
}

export type PageChoice = { ok: true; pages: string; count: number | null } | { ok: false; why: 'form' | 'range' }

/** Reads "1-3,5,9-" as the server does: in order, each page once. Empty is all. `known` is the page count, if it is known. */
export function choosePages(text: string, known: number | null): PageChoice {
  const plain = text.replace(/\s+/g, '').replace(/[，、]/g, ',').replace(/[–－]/g, '-')
  if (plain === '') return { ok: true, pages: '', count: known }
  const chosen = new Set<number>()
  let open = false
  for (const part of plain.split(',')) {
    const match = /^(\d{1,6})(-(\d{1,6})?)?$/.exec(part)
    if (!match) return { ok: false, why: 'form' }
    const first = Number(match[1])
    const last = match[3] ? Number(match[3]) : match[2] ? (known ?? first) : first
    if (match[2] && !match[3] && known === null) open = true
    if (first < 1 || last < first) return { ok: false, why: 'form' }
    if (known !== null && last > known) return { ok: false, why: 'range' }
    if (last - first > 10_000) return { ok: false, why: 'range' }
    for (let page = first; page <= last; page += 1) chosen.add(page)
  }
  return { ok: true, pages: plain, count: open ? null : chosen.size }
}
