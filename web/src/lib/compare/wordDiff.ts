/** The difference of two texts in words, by their longest common subsequence. */

export interface DiffPiece {
  kind: 'same' | 'left' | 'right'
  text: string
}

// A Chinese or Japanese character is a word of its own: those languages have no spaces to split at.
const WORDS = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}]|(?:(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}])[\p{L}\p{M}\p{N}_])+|\s+|[^]/gu
const CELLS = 4_000_000 // of the table; two texts of 2000 different words each

export const words = (text: string): string[] => text.match(WORDS) ?? []

function common(left: string[], right: string[]): DiffPiece[] {
  if (left.length * right.length > CELLS) return [{ kind: 'left', text: left.join('') }, { kind: 'right', text: right.join('') }]
  const width = right.length + 1
  const longest = new Uint16Array((left.length + 1) * width) // longest[i, j]: of left from i and right from j
  const at = (i: number, j: number) => longest[i * width + j] as number
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      longest[i * width + j] = left[i] === right[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const pieces: DiffPiece[] = []
  let i = 0
  let j = 0
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      pieces.push({ kind: 'same', text: left[i] as string })
      i++
      j++
    } else if (j >= right.length || (i < left.length && at(i + 1, j) >= at(i, j + 1))) pieces.push({ kind: 'left', text: left[i++] as string })
    else pieces.push({ kind: 'right', text: right[j++] as string })
  }
  return pieces
}

/** What is removed stands before what is added, and neighbours of one kind are one piece. */
function joined(pieces: DiffPiece[]): DiffPiece[] {
  const found: DiffPiece[] = []
  let changed = { left: '', right: '' }
  const flush = () => {
    for (const kind of ['left', 'right'] as const) if (changed[kind]) found.push({ kind, text: changed[kind] })
    changed = { left: '', right: '' }
  }
  for (const { kind, text } of pieces) {
    if (kind !== 'same') {
      changed[kind] += text
      continue
    }
    flush()
    const last = found.at(-1)
    if (last?.kind === 'same') last.text += text
    else found.push({ kind, text })
  }
  flush()
  return found
}

export function wordDiff(left: string, right: string): DiffPiece[] {
  const [a, b] = [words(left), words(right)]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++
  const same = (list: string[]): DiffPiece[] => (list.length ? [{ kind: 'same', text: list.join('') }] : [])
  return joined([
    ...same(a.slice(0, start)),
    ...common(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...same(a.slice(a.length - end)),
  ])
}

/** How much of both is the same, 0 to 1, spaces left out. */
export function likeness(pieces: readonly DiffPiece[]): number {
  const size = (kind: DiffPiece['kind']) => pieces.filter((piece) => piece.kind === kind).reduce((sum, piece) => sum + piece.text.replace(/\s/g, '').length, 0)
  const same = 2 * size('same')
  const all = same + size('left') + size('right')
  return all === 0 ? 1 : same / all
}
