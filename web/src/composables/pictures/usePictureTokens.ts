import { countPicture } from '@/api/tokens'
import { USUAL } from '@/lib/limits'
import { GLM_GEOMETRY, LONGEST_RATIO, tokensOf, withinSide } from '@/lib/pictures/visualTokens'
import { useServer } from '@/stores/server'
import type { Size } from '@/types'

const PATIENCE_MS = 3_000
const known = new Map<string, Promise<number>>()

/** The server refuses to count what it would refuse to read; such a picture is asked about as it will be sent. */
function countable(size: Size, mostPixels: number): Size {
  const over = Math.sqrt((size.width * size.height) / mostPixels)
  return over <= 1 ? size : withinSide(size, Math.floor(Math.max(size.width, size.height) / over))
}

/**
 * Tells what a picture of a size costs: by the server, whose model may have other bounds than the family's, else by the
 * family's rule. Never fails, since a cost that is a little wrong must not keep anybody from sending.
 */
export function usePictureTokens(): (size: Size) => Promise<number> {
  const server = useServer()
  return (size) => {
    const asked = countable(size, (server.limits ?? USUAL).pixels)
    const ratio = Math.max(asked.width, asked.height) / Math.min(asked.width, asked.height)
    if (ratio > LONGEST_RATIO) return Promise.resolve(0)
    const byRule = () => tokensOf(asked, GLM_GEOMETRY)
    if (server.state !== 'ready') return Promise.resolve(byRule())
    const key = `${server.models[0] ?? ''} ${asked.width}x${asked.height}`
    const before = known.get(key)
    if (before) return before
    const counting = countPicture(asked.width, asked.height, AbortSignal.timeout(PATIENCE_MS)).catch(() => {
      known.delete(key)
      return byRule()
    })
    known.set(key, counting)
    return counting
  }
}
