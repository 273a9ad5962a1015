/** Usage by key as a table: sums, shares, one day or all. */

export const COUNTS = ['requests', 'errors', 'prompt_tokens', 'completion_tokens', 'pictures'] as const
export type Counts = Record<(typeof COUNTS)[number], number>
export type Usage = Counts & { key: string | null }

export function together(rows: readonly Counts[]): Counts {
  const sums: Counts = { requests: 0, errors: 0, prompt_tokens: 0, completion_tokens: 0, pictures: 0 }
  for (const row of rows) for (const name of COUNTS) sums[name] += row[name]
  return sums
}

export const tokensOf = (row: Counts): number => row.prompt_tokens + row.completion_tokens

/** Who uses most comes first; each with its share of all tokens. */
export function ranked<T extends Counts>(rows: readonly T[]): (T & { share: number })[] {
  const all = tokensOf(together(rows))
  return rows
    .map((row) => ({ ...row, share: all > 0 ? tokensOf(row) / all : 0 }))
    .sort((one, other) => tokensOf(other) - tokensOf(one) || other.requests - one.requests)
}

/** One row a day, newest first; of one key (null: requests without one), or of all together with undefined. */
export function byDay(rows: readonly (Usage & { day: string })[], key: string | null | undefined): (Counts & { day: string })[] {
  const days = new Map<string, Usage[]>()
  for (const row of rows) {
    if (key === undefined || row.key === key) days.set(row.day, [...(days.get(row.day) ?? []), row])
  }
  return [...days].map(([day, found]) => ({ day, ...together(found) })).sort((one, other) => other.day.localeCompare(one.day))
}
