/** The list with the item at `from` moved to `to`; places outside the list are its ends. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const next = [...list]
  const [item] = next.splice(from, 1)
  if (item === undefined) return [...list]
  next.splice(Math.max(0, Math.min(to, next.length)), 0, item)
  return next
}
