import { describe, expect, it } from 'vitest'
import { overlaps, placeLabels, textWidth, type LabelWish } from './boxLabels'
import { asJson, boxAt, fitView, keepInside, lookOf, onStage, pixelsOf, rectOf, viewOn, zoomAt, type View } from './overlay'
import type { Point } from '@/types'

const picture = { width: 800, height: 600 }
const stage = { width: 400, height: 400 }
const onPicture = (point: Point, view: View) => ({ x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale })

describe('where a box lies', () => {
  it('is per mille of the picture', () => {
    expect(rectOf([100, 200, 300, 400], picture)).toEqual({ x: 80, y: 120, width: 160, height: 120 })
  })

  it('in whole pixels is what the server says', () => {
    expect(pixelsOf([100, 200, 300, 400], { width: 400, height: 200 })).toEqual([40, 40, 120, 80])
    expect(pixelsOf([1, 1, 2, 2], { width: 640, height: 480 })).toEqual([0, 0, 2, 1])
  })

  it('is told in JSON with number, label and both scales', () => {
    const box = { id: 'b0', box: [100, 200, 300, 400] as const, picture: 0, start: 0, end: 1 }
    expect(asJson([box], { name: 'a.png', width: 400, height: 200 }, () => 1).boxes).toEqual([{ number: 1, label: null, box: [100, 200, 300, 400], pixels: [40, 40, 120, 80] }])
  })

  it('takes the smallest of the boxes under the pointer', () => {
    const items = [{ id: 'large', rect: { x: 0, y: 0, width: 100, height: 100 } }, { id: 'small', rect: { x: 10, y: 10, width: 10, height: 10 } }]
    expect(boxAt(items, { x: 15, y: 15 })?.id).toBe('small')
    expect(boxAt(items, { x: 60, y: 60 })?.id).toBe('large')
    expect(boxAt(items, { x: 300, y: 15 })).toBeUndefined()
  })
})

describe('the view', () => {
  it('shows all of the picture in the middle', () => {
    expect(fitView(picture, stage)).toEqual({ scale: 0.5, x: 0, y: 50 })
  })

  it('keeps what is under the pointer there while it zooms', () => {
    let view = fitView(picture, stage)
    const point = { x: 300, y: 220 }
    const before = onPicture(point, view)
    view = zoomAt(view, 4, point, picture, stage)
    expect(onPicture(point, view).x).toBeCloseTo(before.x)
    expect(onPicture(point, view).y).toBeCloseTo(before.y)
  })

  it('never leaves an empty edge, nor goes below all or above what pixels bear', () => {
    let view = fitView(picture, stage)
    for (const [factor, x, y] of [[3, 10, 10], [9, 390, 5], [0.2, 0, 400], [40, 200, 200], [0.001, 1, 1]] as const) {
      view = keepInside({ ...zoomAt(view, factor, { x, y }, picture, stage), x: view.x + 999 }, picture, stage)
      const shown = onStage({ x: 0, y: 0, ...picture }, view)
      if (shown.width > stage.width) expect(shown.x <= 0.001 && shown.x + shown.width >= stage.width - 0.001).toBe(true)
      expect(view.scale).toBeGreaterThanOrEqual(0.5)
      expect(view.scale).toBeLessThanOrEqual(16)
    }
    expect(view.scale).toBe(0.5)
  })

  it('comes to a box that is out of sight and stays where it is seen', () => {
    const zoomed = zoomAt(fitView(picture, stage), 4, { x: 0, y: 0 }, picture, stage)
    const rect = rectOf([900, 900, 950, 950], picture)
    const moved = viewOn(rect, zoomed, picture, stage)
    const shown = onStage(rect, moved)
    expect(shown.x >= 0 && shown.x + shown.width <= stage.width && shown.y >= 0 && shown.y + shown.height <= stage.height).toBe(true)
    expect(viewOn(rect, moved, picture, stage)).toBe(moved)
  })
})

describe('colours', () => {
  it('differ for neighbours, and are dashed the second time', () => {
    expect(new Set([0, 1, 2, 3, 4, 5, 6].map((i) => lookOf(i).line)).size).toBe(7)
    expect([lookOf(0).dashed, lookOf(7).dashed, lookOf(14).dashed]).toEqual([false, true, false])
  })

  it('can be read: ink on each line has a contrast of at least 4.5', () => {
    const light = (hex: string) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * ([0.2126, 0.7152, 0.0722][i] as number), 0)
    for (const look of [...Array(7).keys()].map((i) => lookOf(i))) {
      const [a, b] = [light(look.line), light(look.ink)].sort((x, y) => y - x) as [number, number]
      expect((a + 0.05) / (b + 0.05), look.line).toBeGreaterThanOrEqual(4.5)
    }
  })
})

describe('names of boxes', () => {
  const room = { width: 600, height: 400 }
  let seed = 11
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below
  const wishes = (count: number): LabelWish[] => Array.from({ length: count }, (_, i) => ({ rect: { x: random(560), y: random(360), width: 10 + random(200), height: 10 + random(120) }, number: String(i + 1), words: ['cup', 'a rather long name of a thing', '发票号码', ''][random(4)] as string }))

  it('never lie over one another and stay on the stage', () => {
    for (const count of [1, 5, 20, 80]) {
      const placed = placeLabels(wishes(count), room).filter((label) => label !== null)
      placed.forEach((a, i) => placed.slice(i + 1).forEach((b) => expect(overlaps(a, b)).toBe(false)))
      for (const { x, y, width, height } of placed) expect(x >= 0 && y >= 0 && x + width <= room.width && y + height <= room.height).toBe(true)
      expect(placed.length).toBeGreaterThan(Math.min(count * 0.6, 20))
    }
  })

  it('give way to the active one, which always has its words', () => {
    const crowd = wishes(60)
    crowd[40] = { ...(crowd[40] as LabelWish), words: 'stamp', first: true }
    expect(placeLabels(crowd, room)[40]?.text).toBe('41 stamp')
  })

  it('leave other boxes free where they can, if need be as a number', () => {
    const row = [0, 1, 2, 3].map((i) => ({ rect: { x: 100, y: 60 + i * 24, width: 40, height: 16 }, number: String(i + 1), words: 'a long name of it' }))
    const placed = placeLabels(row, room)
    placed.forEach((label, i) => row.forEach(({ rect }, j) => i !== j && expect(label && overlaps(label, rect), `${i} ${j}`).toBe(false)))
  })

  it('are left out with their box when that is out of sight', () => {
    expect(placeLabels([{ rect: { x: 700, y: 0, width: 10, height: 10 }, number: '1', words: '' }], room)).toEqual([null])
  })

  it('are wide enough for Chinese', () => {
    expect(textWidth('发票', 12)).toBe(24)
  })
})
