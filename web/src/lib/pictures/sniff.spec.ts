import { describe, expect, it } from 'vitest'
import { gifFrames, isAnimated, kindOf, kindOfBytes } from './sniff'

const latin = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0))
const ftyp = (...brands: string[]) => latin(`\0\0\0${String.fromCharCode(12 + 4 * brands.length)}ftyp${brands[0]}\0\0\0\0${brands.slice(1).join('')}`)

/** A GIF of so many one-pixel frames, with the byte that begins a frame inside their pixels, as real ones have it. */
function gif(frames: number): Uint8Array<ArrayBuffer> {
  const head = [...latin('GIF89a'), 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]
  const frame = [0x21, 0xf9, 4, 0, 10, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x2c, 1, 0]
  return new Uint8Array([...head, ...Array.from({ length: frames }, () => frame).flat(), 0x3b])
}

describe('what a file is', () => {
  it.each([
    ['png', latin('\x89PNG\r\n\x1a\n....')],
    ['jpeg', latin('\xff\xd8\xff\xe0....')],
    ['webp', latin('RIFF....WEBPVP8 ')],
    ['avi', latin('RIFF....AVI LIST')],
    ['gif', gif(1)],
    ['bmp', latin(`BM${' '.repeat(40)}`)],
    ['tiff', latin('II*\0....')],
    ['pdf', latin('%PDF-1.7\n')],
    ['pdf', latin('\r\njunk %PDF-1.4')],
    ['heic', ftyp('heic', 'mif1')],
    ['heic', ftyp('mif1', 'heic')],
    ['avif', ftyp('mif1', 'avif', 'miaf')],
    ['mp4', ftyp('isom', 'avc1')],
    ['webm', latin('\x1a\x45\xdf\xa3....')],
    ['svg', latin('\xef\xbb\xbf<?xml version="1.0"?>\n<svg xmlns="x">')],
    ['text', latin('Date,Amount\n2026-01-01,4.20\n')],
    ['text', latin('BM is short')],
    ['unknown', latin('PK\x03\x04\0\0\0')],
    ['unknown', new Uint8Array()],
  ])('is %s by its bytes', (kind, bytes) => {
    expect(kindOfBytes(bytes)).toBe(kind)
  })

  it('is not what its name or type says', async () => {
    expect(await kindOf(new File(['%PDF-1.7'], 'photo.png', { type: 'image/png' }))).toBe('pdf')
  })

  it('is text although its first bytes end inside a character', async () => {
    expect(await kindOf(new Blob(['x' + '金'.repeat(3000)]))).toBe('text')
  })
})

describe('an animation', () => {
  it('is told from a still GIF by its frames, not by bytes inside its pixels', async () => {
    expect(gifFrames(gif(1))).toBe(1)
    expect(gifFrames(gif(3))).toBe(2)
    expect(await isAnimated(new Blob([gif(1)]), 'gif')).toBe(false)
    expect(await isAnimated(new Blob([gif(2)]), 'gif')).toBe(true)
  })

  it('is told by the header of a PNG and a WebP', async () => {
    expect(await isAnimated(new Blob([latin('\x89PNG\r\n\x1a\n....IHDR....acTL....IDAT')]), 'png')).toBe(true)
    expect(await isAnimated(new Blob([latin('\x89PNG\r\n\x1a\n....IHDR....IDAT..acTL')]), 'png')).toBe(false)
    expect(await isAnimated(new Blob([latin('RIFF....WEBPVP8X\x0a\0\0\0\x02\0\0\0')]), 'webp')).toBe(true)
    expect(await isAnimated(new Blob([latin('RIFF....WEBPVP8X\x0a\0\0\0\x10\0\0\0')]), 'webp')).toBe(false)
  })
})
