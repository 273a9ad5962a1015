import { describe, expect, it } from 'vitest'
import { choosePages, pageSize, readPdf } from './pdf'

const plain = `%PDF-1.4
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R 4 0 R 5 0 R] /Count 3 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >> endobj
%%EOF`

async function deflated(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('deflate'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

describe('what is known of a PDF', () => {
  it('is its page count and page size', async () => {
    expect(await readPdf(new Blob([plain]))).toEqual({ pages: 3, width: 612, height: 792 })
  })

  it('is the count of the whole tree, not of a branch', async () => {
    const branches = '<< /Type /Pages /Count 40 >> << /Count 8 /Type /Pages >>'
    expect((await readPdf(new Blob([branches]))).pages).toBe(40)
  })

  it('is found in compressed object streams', async () => {
    const inner = await deflated('<< /Type /Pages /Count 12 >> << /Type /Page /MediaBox [0 0 200 100] >>')
    const file = new Blob([`%PDF-1.5\n9 0 obj << /Type /ObjStm /N 2 /Filter /FlateDecode /Length ${inner.length} >>\nstream\n`, inner, '\nendstream endobj\n%%EOF'])
    expect(await readPdf(file)).toMatchObject({ pages: 12, width: 200, height: 100 })
  })

  it('is an unknown number of A4 pages when its objects cannot be read', async () => {
    expect(await readPdf(new Blob(['%PDF-1.4 trailer << /Encrypt 7 0 R >>']))).toEqual({ pages: null, width: 595, height: 842 })
  })

  it('is drawn at 144 dots per inch', () => {
    expect(pageSize({ width: 595, height: 842 })).toEqual({ width: 1190, height: 1684 })
  })
})

describe('a choice of pages', () => {
  it.each([
    ['', 7, { ok: true, pages: '', count: 7 }],
    ['1-3,5', 7, { ok: true, pages: '1-3,5', count: 4 }],
    [' 2 , 2-4 ', 7, { ok: true, pages: '2,2-4', count: 3 }],
    ['1,3', 7, { ok: true, pages: '1,3', count: 2 }],
    ['5-', 7, { ok: true, pages: '5-', count: 3 }],
    ['5-', null, { ok: true, pages: '5-', count: null }],
    ['1–3,6', 7, { ok: true, pages: '1-3,6', count: 4 }],
    ['1－3，5、7', 7, { ok: true, pages: '1-3,5,7', count: 5 }], // as an input method writes them
    ['8', 7, { ok: false, why: 'range' }],
    ['8', null, { ok: true, pages: '8', count: 1 }],
    ['3-1', 7, { ok: false, why: 'form' }],
    ['0', 7, { ok: false, why: 'form' }],
    ['1,', 7, { ok: false, why: 'form' }],
    ['all', 7, { ok: false, why: 'form' }],
  ])('"%s" of %s pages', (text, known, choice) => {
    expect(choosePages(text, known)).toEqual(choice)
  })
})
