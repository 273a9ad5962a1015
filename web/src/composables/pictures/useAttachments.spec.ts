import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, ref } from 'vue'
import type { Wishes } from '@/lib/pictures/image'
import { USUAL } from '@/lib/limits'
import { tokensOf } from '@/lib/pictures/visualTokens'
import type { Attachment } from '@/types'
import { nameOfUrl, useAttachments } from './useAttachments'

const wishes: Wishes = { shrink: true, maxSide: 2048, limits: USUAL, tokensOf: async (size) => tokensOf(size) }
const png = (name: string) => new File([Uint8Array.from('\x89PNG\r\n\x1a\n0000', (c) => c.charCodeAt(0))], name)

function setup(options: Parameters<typeof useAttachments>[3] = {}, first: Attachment[] = []) {
  const list = ref<Attachment[]>(first)
  const files = effectScope().run(() => useAttachments(() => list.value, (next) => (list.value = next), () => wishes, options))!
  return { list, files, names: () => list.value.map(({ name }) => name) }
}

// The browser's decoder is the one part that this environment lacks.
beforeEach(() => {
  vi.stubGlobal('createImageBitmap', async () => ({ width: 640, height: 480, close: () => undefined }))
})
afterEach(() => vi.unstubAllGlobals())

describe('adding files', () => {
  it('keeps their order and tells what each costs', async () => {
    const { files, list, names } = setup()
    await files.add([png('a.png'), png('b.png')])
    expect(names()).toEqual(['a.png', 'b.png'])
    expect(list.value[0]).toMatchObject({ kind: 'image', width: 640, height: 480, visualTokens: 391, originalBytes: 12 })
  })

  it('says which file is bad and keeps the others', async () => {
    const { files, names } = setup()
    await files.add([png('a.png'), new File([], 'empty.png'), new File(['a,b\n1,2'], 'table.csv'), new File(['PK\x03\x04\0'], 'x.zip'), png('b.png')])
    expect(names()).toEqual(['a.png', 'b.png'])
    expect(files.problems.value.map(({ key, values }) => [key, values.name])).toEqual([
      ['emptyFile', 'empty.png'], ['textFile', 'table.csv'], ['unknownFile', 'x.zip'],
    ])
    expect(files.pending.value).toBe(0)
  })

  it('sends a HEIC as it is when this browser cannot open it, and refuses a damaged PNG', async () => {
    vi.stubGlobal('createImageBitmap', async () => Promise.reject(new Error('no decoder')))
    const { files, list } = setup()
    await files.add([new File(['\0\0\0\x18ftypheic\0\0\0\0mif1heic'], 'photo.heic'), png('broken.png')])
    expect(list.value).toHaveLength(1)
    expect(list.value[0]).toMatchObject({ kind: 'image', name: 'photo.heic' })
    expect(list.value[0]!.width).toBeUndefined()
    expect(files.problems.value[0]).toMatchObject({ key: 'damaged', values: { name: 'broken.png' } })
  })

  it('does not put a picture into a conversation that was opened meanwhile', async () => {
    let owner = 'one'
    const { files, names } = setup({ owner: () => owner })
    const adding = files.add([png('a.png')])
    owner = 'two'
    await adding
    expect(names()).toEqual([])
    expect(files.problems.value[0]?.key).toBe('leftBehind')
  })
})

describe('changing the list', () => {
  const item = (id: string): Attachment => ({ id, kind: 'url', name: id, url: `https://a.example/${id}` })

  it('moves, removes and adds links', () => {
    const { files, names } = setup({}, [item('a'), item('b'), item('c')])
    files.move(2, 0)
    expect(names()).toEqual(['c', 'a', 'b'])
    files.remove('a')
    files.addUrl('https://b.example/pictures/my%20cat.png?x=1')
    expect(names()).toEqual(['c', 'b', 'my cat.png'])
  })

  it('keeps the place of a file that is replaced', async () => {
    const { files, names } = setup({}, [item('a'), item('b'), item('c')])
    await files.replace('b', png('new.png'))
    expect(names()).toEqual(['a', 'new.png', 'c'])
  })

  it('drops the pages field when all pages are wanted', () => {
    const { files, list } = setup({}, [{ id: 'p', kind: 'pdf', name: 'p.pdf' }])
    files.choosePages('p', '1-3')
    expect(list.value[0]!.pages).toBe('1-3')
    files.choosePages('p', '')
    expect('pages' in list.value[0]!).toBe(false)
  })
})

it('names a link by its last part, or by its host', () => {
  expect(['https://a.example/', 'https://a.example/b/c.jpg', 'https://a.example/%E4'].map(nameOfUrl)).toEqual(['a.example', 'c.jpg', 'https://a.example/%E4'])
})
