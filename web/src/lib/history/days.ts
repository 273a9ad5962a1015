/** Moments into the groups of a list: by the reader's own calendar, not by twenty-four hours. */
const AGES = ['today', 'yesterday', 'week', 'month', 'older'] as const
type Age = (typeof AGES)[number]

export function ageOf(moment: number, now: number): Age {
  const days = daysBetween(moment, now)
  if (days <= 0) return 'today' // a clock that was put back makes tomorrow's today's
  if (days === 1) return 'yesterday'
  return days < 7 ? 'week' : days < 30 ? 'month' : 'older'
}

function daysBetween(moment: number, now: number): number {
  const [then, today] = [new Date(moment), new Date(now)]
  // In UTC every day has as many hours as the next.
  const midnight = (day: Date) => Date.UTC(day.getFullYear(), day.getMonth(), day.getDate())
  return Math.round((midnight(today) - midnight(then)) / 86_400_000)
}

/** In the order of AGES, without empty ones. */
export function byAge<T extends { updatedAt: number }>(items: readonly T[], now: number): { age: Age; items: T[] }[] {
  return AGES.map((age) => ({ age, items: items.filter(({ updatedAt }) => ageOf(updatedAt, now) === age) })).filter((group) => group.items.length > 0)
}
