/** What a file was opened with stays in memory: it is in no database of this browser and in no file that is exported. */
import type { Attachment } from '@/types'

type WithPassword = Pick<Attachment, 'password'>

export function withoutPassword<T extends WithPassword>(file: T): Omit<T, 'password'> {
  const { password: _, ...rest } = file
  return rest
}

/** Codes of the failures that a password mends. */
export const LOCKED_CODES: readonly string[] = ['encrypted_document', 'wrong_document_password']

/** The longest that the server takes. */
export const LONGEST_PASSWORD = 127
