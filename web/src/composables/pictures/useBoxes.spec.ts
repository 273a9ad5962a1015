import { describe, expect, it } from 'vitest'
import { ref } from 'vue'
import { useBoxes } from './useBoxes'

describe('the boxes of a text that grows', () => {
  it('are the same list while only words come', () => {
    const text = ref('a cup [1,20,30,40] stands')
    const boxes = useBoxes(() => ({ text: text.value, pictures: 1 }))
    const before = boxes.value
    expect(before).toHaveLength(1)
    text.value += ' there'
    expect(boxes.value).toBe(before)
  })

  it('keep the objects of those that were there', () => {
    const text = ref('cup [1,20,30,40]\n')
    const boxes = useBoxes(() => ({ text: text.value, pictures: 1 }))
    const [cup] = boxes.value
    text.value += 'plate [50,60,70,80]\n'
    expect(boxes.value).toHaveLength(2)
    expect(boxes.value[0]).toBe(cup)
  })

  it('change with what is said of them', () => {
    const text = ref('[1,20,30,40]')
    const boxes = useBoxes(() => ({ text: text.value, pictures: 1 }))
    const before = boxes.value
    text.value += ' is a cup'
    expect(boxes.value).not.toBe(before)
    expect(boxes.value[0]?.label).toBe('cup')
  })
})
