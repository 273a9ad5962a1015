/** What a file was opened with stays in memory: it is in no database of this browser and in no file that is exported. */
import type { Attachment, Failure } from '@/types'

type WithPassword = Pick<Attachment, 'password'>

export function withoutPassword<T extends WithPassword>(file: T): Omit<T, 'password'> {
  const { password: _, ...rest } = file
  return rest
}

/** A failure that a password mends. */
export const isLocked = ({ code }: Failure): boolean => code === 'encrypted_document' || code === 'wrong_document_password'

/** The longest that the server takes. */
export const LONGEST_PASSWORD = 127
