/** The pictures that the server brings along to be tried. */
import { request, type RequestOptions } from './http'
import { listScenes } from './scenes'

// Nobody is asked for a key who has only opened the page.
const QUIETLY = { askForKey: false }

/** Names of the pictures that the scenes are tried with. */
export async function sampleNames(): Promise<string[]> {
  const { scenes } = await listScenes(QUIETLY)
  return [...new Set(scenes.flatMap(({ sample }) => sample ?? []))]
}

const fetched = async (name: string, options?: RequestOptions) => (await request(`/samples/${encodeURIComponent(name)}`, {}, options)).blob()

export const samplePicture = (name: string): Promise<Blob> => fetched(name, QUIETLY)

/** To try a scene with. Its age is that of the release: a constant, so that what was decided about it is found again. */
export async function sampleFile(name: string): Promise<File> {
  const blob = await fetched(name)
  return new File([blob], name, { type: blob.type, lastModified: 0 })
}
