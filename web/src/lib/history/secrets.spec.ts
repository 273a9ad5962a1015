import { expect, it } from 'vitest'
import { withoutPassword } from './secrets'

it('takes the password away and leaves the file as it was', () => {
  const file = { id: 'a', kind: 'pdf' as const, name: 'a.pdf', pages: '1', password: 'secret' }
  expect(withoutPassword(file)).toEqual({ id: 'a', kind: 'pdf', name: 'a.pdf', pages: '1' })
  expect(file.password).toBe('secret')
})
