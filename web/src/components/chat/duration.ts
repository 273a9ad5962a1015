/** Times as people read them; `say` is vue-i18n's t. */
type Say = (key: string, values: Record<string, unknown>) => string

export function durationWords(ms: number, say: Say): string {
  if (ms < 1000) return say('chat.time.milliseconds', { n: Math.round(ms) })
  if (ms < 60_000) return say('chat.time.seconds', { n: (ms / 1000).toFixed(ms < 10_000 ? 1 : 0) })
  const seconds = Math.round(ms / 1000)
  return say('chat.time.minutes', { m: Math.floor(seconds / 60), s: seconds % 60 })
}
