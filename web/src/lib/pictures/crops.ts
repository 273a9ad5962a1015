import { rectOf } from '@/lib/boxes/overlay'
import type { Box } from '@/types'

const MARGIN = 0.15 // of the box's shorter side, on every side
const MOST_WIDTH = 480
const MOST_HEIGHT = 220

/** What to cut out of a picture of so many pixels for a box, and how much smaller to show it; small ones stay as they are. */
export function cropRect(box: Box, pictureWidth: number, pictureHeight: number) {
  const found = rectOf(box, { width: pictureWidth, height: pictureHeight })
  const margin = Math.max(6, MARGIN * Math.min(found.width, found.height))
  const x = Math.max(0, found.x - margin)
  const y = Math.max(0, found.y - margin)
  const width = Math.max(1, Math.min(pictureWidth, found.x + found.width + margin) - x)
  const height = Math.max(1, Math.min(pictureHeight, found.y + found.height + margin) - y)
  return { x, y, width, height, scale: Math.min(1, MOST_WIDTH / width, MOST_HEIGHT / height) }
}
