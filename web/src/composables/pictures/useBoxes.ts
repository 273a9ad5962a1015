/** The boxes of a text that grows. What has not changed stays the same object, the list too: nothing is drawn again for it. */
import { computed, type ComputedRef } from 'vue'
import { findBoxes, type FoundBox } from '@/lib/boxes/boxes'

export function useBoxes(source: () => { text: string; pictures: number } | null): ComputedRef<FoundBox[]> {
  let before: FoundBox[] = []
  return computed(() => {
    const now = source()
    return (before = steady(before, now ? found(now.text, now.pictures) : []))
  })
}

let last: { text: string; pictures: number; boxes: FoundBox[] } = { text: '', pictures: 0, boxes: [] }

/** An answer and the pane beside it ask about the same text at the same moment. */
function found(text: string, pictures: number): FoundBox[] {
  if (last.text !== text || last.pictures !== pictures) last = { text, pictures, boxes: findBoxes(text, pictures) }
  return last.boxes
}

function steady(before: FoundBox[], now: readonly FoundBox[]): FoundBox[] {
  const next = now.map((box, i) => (before[i] && equal(before[i], box) ? before[i] : box))
  return next.length === before.length && next.every((box, i) => box === before[i]) ? before : next
}

function equal(one: FoundBox, other: FoundBox): boolean {
  return one.id === other.id && one.start === other.start && one.end === other.end && one.label === other.label && one.picture === other.picture && one.box.every((edge, i) => edge === other.box[i])
}
