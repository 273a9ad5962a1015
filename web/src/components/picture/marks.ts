import type { FoundBox } from '@/lib/boxes/boxes'
import type { Look } from '@/lib/boxes/overlay'
import type { Rect } from '@/types'

/** A box as the pane shows it. */
export interface Mark {
  found: FoundBox
  number: number
  name: string // "Box 3: stamp"
  look: Look
  rect: Rect // on the stage, in its pixels
}
