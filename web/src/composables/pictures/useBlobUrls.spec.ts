import { afterEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import type { Attachment } from '@/types'
import { useBlobUrls, useShownPictures } from './useBlobUrls'

afterEach(() => vi.restoreAllMocks())

it('a blob has one address, which is given back when the component goes', () => {
  const given = vi.spyOn(URL, 'createObjectURL')
  const back = vi.spyOn(URL, 'revokeObjectURL')
  const scope = effectScope()
  const urlOf = scope.run(useBlobUrls)!
  const [one, other] = [new Blob(['1']), new Blob(['2'])]
  const urls = [urlOf(one), urlOf(other), urlOf(one)]
  expect(urls[2]).toBe(urls[0])
  expect(given).toHaveBeenCalledTimes(2)
  expect(back).not.toHaveBeenCalled()
  scope.stop()
  expect(back.mock.calls.flat()).toEqual([urls[0], urls[1]])
})

it('of attachments only pictures that are still there are shown, and the same list for the same attachments', () => {
  const scope = effectScope()
  const shown = scope.run(useShownPictures)!
  const attachments: Attachment[] = [
    { id: 'a', kind: 'image', name: 'a.png', blob: new Blob(['x']) },
    { id: 'b', kind: 'image', name: 'gone.png' },
    { id: 'c', kind: 'pdf', name: 'c.pdf', blob: new Blob(['y']) },
  ]
  expect(shown(attachments).map(({ id }) => id)).toEqual(['a'])
  expect(shown(attachments)).toBe(shown(attachments))
  expect(shown([...attachments])).not.toBe(shown(attachments))
  scope.stop()
})
