/** Addresses that a server can fetch. */

export type LinkTrouble = 'empty' | 'blob' | 'data' | 'file' | 'form'

/** What is wrong with an address, as far as this page can know; whether it may be fetched is the server's matter. */
export function linkTrouble(text: string): LinkTrouble | null {
  const url = text.trim()
  if (url === '') return 'empty'
  if (/^blob:/i.test(url)) return 'blob' // exists in one browser tab only
  if (/^data:/i.test(url)) return 'data'
  if (/^(file:|[a-z]:\\|\/|\\\\)/i.test(url)) return 'file'
  try {
    const { protocol, hostname } = new URL(url)
    return (protocol === 'http:' || protocol === 'https:') && hostname ? null : 'form'
  } catch {
    return 'form'
  }
}
