import 'fake-indexeddb/auto'
import { beforeEach, describe, expect, it } from 'vitest'
import { History, PageDatabase } from '@/lib/history/db'
import { forgetEverything } from './forget'

const names = async () => (await indexedDB.databases()).map(({ name }) => name)
const opened = (name: string) =>
  new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name)
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
})

describe('forgetting everything', () => {
  it('leaves nothing of this page, and all that is somebody else’s', async () => {
    const history = new History(new PageDatabase())
    await history.putDraft('new', 'half a question', [])
    ;(await opened('flashweb-comparisons')).close()
    ;(await opened('another-page')).close()
    for (const storage of [localStorage, sessionStorage]) {
      storage.setItem('flashweb.settings', '{}')
      storage.setItem('another-page', 'kept')
    }
    await forgetEverything()
    expect(await names()).toEqual(['another-page'])
    expect([localStorage, sessionStorage].map((storage) => Object.keys(storage))).toEqual([['another-page'], ['another-page']])
  })

  it('does not wait for its own open database, which closes by itself', async () => {
    const history = new History(new PageDatabase())
    await history.putDraft('new', 'half a question', [])
    await forgetEverything()
    expect(await names()).not.toContain('flashweb')
  })

  it('says so when something holds a database open', async () => {
    const held = await opened('flashweb-held')
    await expect(forgetEverything()).rejects.toThrow(/flashweb-held/)
    held.close()
  })
})
