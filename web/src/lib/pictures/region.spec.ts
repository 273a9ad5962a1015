import { describe, expect, it } from 'vitest'
import { boxBetween, isRegion, nudge, pixelsOf, regionText, turned, within, withRegion } from './region'
import type { Box } from '@/types'

describe('a drawn region', () => {
  it('is a box of 0..999 whichever corner came first', () => {
    expect(boxBetween({ x: 0.75, y: 0.5 }, { x: 0.25, y: 0 })).toEqual([250, 0, 749, 500])
  })

  it('stays inside the picture when the pointer leaves it', () => {
    expect(boxBetween({ x: -0.2, y: 0.5 }, { x: 1.4, y: 2 })).toEqual([0, 500, 999, 999])
  })

  it('is none when it was only a click', () => {
    expect(isRegion([10, 10, 12, 400])).toBe(false)
    expect(isRegion([10, 10, 20, 20])).toBe(true)
  })

  it('moves and grows by the keyboard without leaving the picture', () => {
    expect(nudge([10, 10, 110, 110], -20, 20, false)).toEqual([0, 30, 100, 130])
    expect(nudge([800, 800, 990, 990], 20, 0, false)).toEqual([809, 800, 999, 990])
    expect(nudge([10, 10, 110, 110], -500, 20, true)).toEqual([10, 10, 15, 130])
  })

  it('of a part is a box of the whole', () => {
    expect(within([0, 0, 999, 999], [100, 200, 300, 400])).toEqual([100, 200, 300, 400])
    expect(within([500, 0, 999, 999], [0, 0, 500, 999])).toEqual([250, 0, 500, 999])
  })

  it('is in the same place after four quarter turns', () => {
    const box: Box = [100, 200, 300, 900]
    expect(turned(box)).toEqual([99, 100, 799, 300])
    expect(turned(turned(turned(turned(box))))).toEqual(box)
  })

  it('covers whole pixels, at least one', () => {
    expect(pixelsOf([0, 0, 999, 999], { width: 640, height: 480 })).toEqual({ x: 0, y: 0, width: 640, height: 480 })
    expect(pixelsOf([999, 999, 999, 999], { width: 10, height: 10 })).toEqual({ x: 9, y: 9, width: 1, height: 1 })
  })
})

describe('the words of a region', () => {
  it('name the picture only when there are several', () => {
    expect(regionText([1, 2, 3, 4], 'en')).toBe('Look at the region [1,2,3,4]')
    expect(regionText([1, 2, 3, 4], 'en', 2)).toBe('Look at the region [1,2,3,4] of picture 2')
    expect(regionText([1, 2, 3, 4], 'zh', 2)).toBe('请看第2张图片的区域[1,2,3,4]')
  })

  it('come before the question, each once', () => {
    const once = withRegion('What is this?', 'Look at the region [1,2,3,4]')
    expect(once).toBe('Look at the region [1,2,3,4]\nWhat is this?')
    expect(withRegion(once, 'Look at the region [1,2,3,4]')).toBe(once)
    expect(withRegion('', 'Look here')).toBe('Look here\n')
  })
})
