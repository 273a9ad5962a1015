/** The same answers as the server's test reads: what the API calls a box is one on the page, on the same picture. */
import { describe, expect, it } from 'vitest'
import { findBoxes } from './boxes'
import shared from './shared.json'

interface Answer {
  text: string
  pictures: number
  boxes: number[][]
  page?: number[][]
}

describe('boxes are those of the server', () => {
  it.each(shared.answers as Answer[])('$text, $pictures', ({ text, pictures, boxes, page }) => {
    expect(findBoxes(text, pictures).map(({ picture, box }) => [picture, ...box])).toEqual(page ?? boxes)
  })
})
