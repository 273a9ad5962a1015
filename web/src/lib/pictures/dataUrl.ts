/** Blobs as base64 and back, for requests and for files that hold pictures. */

const CHUNK = 0x8000 // more arguments than this overflow the stack of String.fromCharCode

export async function toBase64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer())
  const pieces: string[] = []
  for (let at = 0; at < bytes.length; at += CHUNK) pieces.push(String.fromCharCode(...bytes.subarray(at, at + CHUNK)))
  return btoa(pieces.join(''))
}

export async function toDataUrl(blob: Blob, fallbackType = 'application/octet-stream'): Promise<string> {
  return `data:${blob.type || fallbackType};base64,${await toBase64(blob)}`
}

/** Throws where the text is no base64. */
export function fromBase64(base64: string, type: string): Blob {
  const binary = atob(base64)
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at)
  return new Blob([bytes], { type })
}
