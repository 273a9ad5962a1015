import { expect, it } from 'vitest'
import { moved } from './list'
import { linkTrouble } from './link'
import { bytesText, overLimits as over, USUAL, type Limits } from './limits'
import type { Attachment } from '@/types'

const some = (count: number, kind: Attachment['kind'], blob?: Blob): Attachment[] =>
  Array.from({ length: count }, (_, index) => ({ id: `${kind}${index}`, kind, name: `${kind} ${index}`, blob }))
const overLimits = (files: Attachment[], limits: Partial<Limits> = {}) => over(files, { ...USUAL, ...limits })
const large = (size: number) => ({ size }) as Blob

it('counts links with the pictures and tells which limit is passed', () => {
  expect(overLimits([...some(10, 'image'), ...some(6, 'url'), ...some(4, 'video')])).toEqual([])
  expect(overLimits([...some(10, 'image'), ...some(7, 'url')])).toEqual([{ key: 'manyPictures', values: { count: 17, most: 16 } }])
  expect(overLimits(some(5, 'video')).map(({ key }) => key)).toEqual(['manyClips'])
})

it('tells the file that is too large, clips having a limit of their own', () => {
  expect(overLimits(some(1, 'image', large(11 * 1024 * 1024)))).toEqual([
    { key: 'largeFile', values: { name: 'image 0', size: '11.0 MiB', most: '10.0 MiB' } },
  ])
  expect(overLimits(some(1, 'video', large(30 * 1024 * 1024)))).toEqual([])
})

it('adds up the request as it travels, which is larger than its files', () => {
  expect(overLimits(some(5, 'image', large(9.9 * 1024 * 1024))).map(({ key }) => key)).toEqual(['largeBody'])
})

it('goes by the limits that the server told', () => {
  expect(overLimits(some(3, 'image'), { pictures: 2 })).toEqual([{ key: 'manyPictures', values: { count: 3, most: 2 } }])
  const photo: Attachment = { ...some(1, 'image')[0]!, width: 6000, height: 5000 }
  expect(overLimits([photo])).toEqual([])
  expect(overLimits([photo], { pixels: 25_000_000 })).toEqual([{ key: 'manyPixels', values: { name: 'image 0', size: '30', most: '25' } }])
})

it('adds up the pages of all documents, one for those whose pages are not known', () => {
  const pages = (file: Attachment) => (file.id === 'pdf0' ? 49 : null)
  expect(over(some(2, 'pdf'), USUAL, pages)).toEqual([])
  expect(over(some(3, 'pdf'), USUAL, pages)).toEqual([{ key: 'manyPages', values: { count: 51, most: 50 } }])
})

it('writes bytes for people', () => {
  expect([0, 999, 1536, 204_800, 1_572_864].map(bytesText)).toEqual(['0 B', '999 B', '1.5 KiB', '200 KiB', '1.5 MiB'])
})

it('moves an item to another place and never loses one', () => {
  expect(moved(['a', 'b', 'c'], 0, 2)).toEqual(['b', 'c', 'a'])
  expect(moved(['a', 'b', 'c'], 2, 0)).toEqual(['c', 'a', 'b'])
  expect(moved(['a', 'b', 'c'], 1, 9)).toEqual(['a', 'c', 'b'])
  expect(moved(['a', 'b', 'c'], 7, 0)).toEqual(['a', 'b', 'c'])
})

it('lets pass only addresses that a server can fetch', () => {
  expect(['https://a.example/x.png', ' http://a.example '].map(linkTrouble)).toEqual([null, null])
  const others = ['', 'blob:https://a/1', 'data:image/png;base64,AA', '/home/me/x.png', 'C:\\x.png', 'a.example/x.png', 'ftp://a/x']
  expect(others.map(linkTrouble)).toEqual(['empty', 'blob', 'data', 'file', 'file', 'form', 'form'])
})
