/** What the scenes keep in this browser. */
import { readJson, write } from '@/lib/stored'

export function kept<T>(key: string, otherwise: T): T {
  return (readJson('browser', `scene.${key}`) as T | null) ?? otherwise
}

/** False when the browser refused. Undefined forgets. */
export function keep(key: string, value: unknown): boolean {
  return write('browser', `scene.${key}`, value === undefined ? null : JSON.stringify(value))
}

/** A file's name for itself: the same picture chosen tomorrow finds what was decided about it today. */
export const keyOfFile = (scene: string, file: File) => `review.${scene}.${file.name}.${file.size}.${file.lastModified}`
