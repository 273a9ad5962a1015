import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'
import { keyDesk } from '@/api/keys'
import { useKeyDesk } from './keyDesk'
import { useSettings } from './settings'

const refused = { code: 'invalid_api_key', message: 'needs a key', status: 401 }

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
  setActivePinia(createPinia())
})

describe('keyDesk', () => {
  it('asks once for all who wait, and gives the key to each', async () => {
    const desk = useKeyDesk()
    const waiting = [keyDesk().ask('user', refused), keyDesk().ask('user', refused)]
    expect(desk.question).toMatchObject({ kind: 'user', hadKey: false })
    desk.give('k', 'browser')
    expect(await Promise.all(waiting)).toEqual(['k', 'k'])
    expect(useSettings()).toMatchObject({ apiKey: 'k', keepKey: 'browser', adminKey: null })
    expect(desk.question).toBeNull()
  })

  it('tells a refused key from a missing one', () => {
    useSettings().adminKey = 'old'
    const desk = useKeyDesk()
    void desk.ask('admin', refused)
    expect(desk.question).toMatchObject({ kind: 'admin', hadKey: true })
  })

  it('lets all go without a key when the user will not give one', async () => {
    const desk = useKeyDesk()
    const waiting = desk.ask('user', refused)
    desk.dismiss()
    expect(await waiting).toBeNull()
    expect(useSettings().apiKey).toBeNull()
  })
})
