/** Every name this page has given to something it stored begins so (settings, keys, drafts, the database). */
const OURS = 'flashweb'

function clear(storage: Storage): void {
  for (const name of Object.keys(storage)) if (name.startsWith(OURS)) storage.removeItem(name)
}

function drop(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const deletion = indexedDB.deleteDatabase(name)
    deletion.onsuccess = () => resolve()
    deletion.onerror = () => reject(deletion.error ?? new Error(`${name} could not be deleted`))
    // Another tab holds it open; the deletion happens when that tab is closed.
    deletion.onblocked = () => reject(new Error(`${name} is open in another tab`))
  })
}

/** Deletes all that this page keeps in the browser. Throws with a reason when something stays. */
export async function forgetEverything(): Promise<void> {
  const databases = (await indexedDB.databases?.()) ?? [{ name: OURS }]
  for (const { name } of databases) if (name?.startsWith(OURS)) await drop(name)
  clear(localStorage)
  clear(sessionStorage)
}

/** Bytes the browser says this page uses; null where it does not say. */
export async function storedBytes(): Promise<number | null> {
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined)
  return estimate?.usage ?? null
}
