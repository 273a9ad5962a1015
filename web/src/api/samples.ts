/** The pictures that the server brings along to be tried. */
import { request } from './http'
import { listScenes } from './scenes'

// Nobody is asked for a key who has only opened the page.
const QUIETLY = { askForKey: false }

/** Names of the pictures that the scenes are tried with. */
export async function sampleNames(): Promise<string[]> {
  const { scenes } = await listScenes(QUIETLY)
  return [...new Set(scenes.flatMap(({ sample }) => sample ?? []))]
}

export async function samplePicture(name: string): Promise<Blob> {
  return (await request(`/samples/${encodeURIComponent(name)}`, {}, QUIETLY)).blob()
}
