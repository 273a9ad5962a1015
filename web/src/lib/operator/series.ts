/** Points in time: counters become rates, old points go, and a gap in time is a gap in the line. */

export interface Timed {
  time: number // ms since 1970
}

/** What a counter gained; a smaller value means that it began anew at 0. */
export function increase(before: number | null, after: number | null): number | null {
  if (after === null) return null
  if (before === null || after < before) return after
  return after - before
}

/** Per second; null without time between the two. */
export function rate(before: number | null, after: number | null, ms: number): number | null {
  const gained = increase(before, after)
  return gained === null || ms <= 0 ? null : (1000 * gained) / ms
}

/** A part of a whole that both grew: hits of look-ups. Null when there were none. */
export function share(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : part / whole
}

/** Without what is older than `age` ms, seen from the newest. */
export function youngerThan<T extends Timed>(points: readonly T[], age: number): T[] {
  const newest = points.at(-1)?.time ?? 0
  return points.filter((point) => newest - point.time <= age)
}

/** The oldest point that is at most `age` ms older than the newest, and older than it; null when there is none. */
export function since<T extends Timed>(points: readonly T[], age: number): T | null {
  const newest = points.at(-1)
  const found = points.find((point) => newest && newest.time - point.time <= age)
  return found && found !== newest ? found : null
}

/** Columns for a chart: times in seconds, then one list a name. Longer than `gap` ms without a point breaks the lines. */
export function columns<N extends string>(
  points: readonly (Timed & { values: Readonly<Record<N, number | null>> })[],
  names: readonly N[],
  gap: number,
): [number[], ...(number | null)[][]] {
  const times: number[] = []
  const lists: (number | null)[][] = names.map(() => [])
  let last: number | null = null
  for (const point of points) {
    if (last !== null && point.time - last > gap) {
      times.push((last + 1) / 1000)
      for (const list of lists) list.push(null)
    }
    times.push(point.time / 1000)
    names.forEach((name, index) => lists[index]?.push(point.values[name]))
    last = point.time
  }
  return [times, ...lists]
}

export interface Summary {
  now: number | null
  least: number | null
  mean: number | null
  most: number | null
}

/** Of the values that there are; `now` is the last point's, even where it has none. */
export function summary(values: readonly (number | null)[]): Summary {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return { now: null, least: null, mean: null, most: null }
  return {
    now: values.at(-1) ?? null,
    least: Math.min(...known),
    mean: known.reduce((sum, value) => sum + value, 0) / known.length,
    most: Math.max(...known),
  }
}
