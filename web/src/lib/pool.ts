/** Many things to do, a few at once, in order of their places. */

/** Ends when all are done or the signal is aborted; what runs then is awaited, what waits is left. `work` settles its own
 * failures: one that throws ends the whole. */
export async function pooled<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>, signal: AbortSignal): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < items.length && !signal.aborted) await work(items[next++]!)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane))
}

/** Waits, or ends early with an AbortError. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(new DOMException('stopped', 'AbortError'))
    }
    if (signal.aborted) return reject(new DOMException('stopped', 'AbortError'))
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal.addEventListener('abort', stop, { once: true })
  })
}
