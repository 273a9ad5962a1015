/** The files that code reads: names that are fit for every disk and tell what the bytes are. */

export interface CodeFile {
  name: string
  type: string // MIME type of the bytes that were sent
  blob?: Blob // to be saved beside the code
}

const ENDINGS: Record<string, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'image/avif': 'avif',
  'image/heic': 'heic',
  'application/pdf': 'pdf',
  'video/mp4': 'mp4',
  'video/webm': 'webm',
  'video/quicktime': 'mov',
}
const SAME = new Map([['jpeg', 'jpg']])

function fit(name: string, type: string): [stem: string, ending: string] {
  const last = name.split(/[\\/]/).pop() ?? ''
  const clean = last.normalize('NFC').replace(/[^\p{L}\p{M}\p{N}._ ()-]+/gu, '_').replace(/^[\s.-]+|[\s.]+$/g, '')
  const dot = clean.lastIndexOf('.')
  const stem = (dot > 0 ? clean.slice(0, dot) : clean).slice(0, 80) || 'picture'
  const given = dot > 0 ? clean.slice(dot + 1).toLowerCase() : ''
  // A photo that the page made smaller is a JPEG, even when the user's file was HEIC.
  const wanted = ENDINGS[type] ?? given
  return [stem, (SAME.get(given) ?? given) === wanted ? given : wanted]
}

/** The same files under names that are safe and differ from each other, also where disks do not tell A from a. */
export function namedFiles(files: readonly CodeFile[]): CodeFile[] {
  const taken = new Set<string>()
  return files.map((file) => {
    const [stem, ending] = fit(file.name, file.type)
    const tail = ending ? `.${ending}` : ''
    let name = stem + tail
    for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${stem}-${count}${tail}`
    taken.add(name.toLowerCase())
    return { ...file, name }
  })
}
