import { MOST_STOPS } from '@/stores/preferences'

/** Stop texts as lines of a field: `\n` and `\t` are a line's end and a tab, `\\` a backslash. */
export function stopsOf(lines: string): string[] {
  const texts = lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/\\([nt\\])/g, (_all, sign: string) => ({ n: '\n', t: '\t' })[sign] ?? '\\'))
  return [...new Set(texts)].slice(0, MOST_STOPS)
}

export function linesOf(stops: readonly string[]): string {
  return stops.map((text) => text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/\t/g, '\\t')).join('\n')
}
