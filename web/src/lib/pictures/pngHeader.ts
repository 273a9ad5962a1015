/** A PNG that is nothing but its header, as base64: enough to ask what a picture of this size would cost. */

export function headerOfPng(width: number, height: number): string {
  const bytes = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
  const rgb = [8, 2, 0, 0, 0]
  for (const [type, data] of [['IHDR', [...word(width), ...word(height), ...rgb]], ['IDAT', []], ['IEND', []]] as const) {
    const body = [...type].map((letter) => letter.charCodeAt(0)).concat(data)
    bytes.push(...word(data.length), ...body, ...word(crc32(body)))
  }
  return btoa(String.fromCharCode(...bytes))
}

const word = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]

function crc32(bytes: readonly number[]): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}
