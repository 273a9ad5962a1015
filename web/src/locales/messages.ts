/** A message is a text or a group of messages. In a text `{name}` is a value, and `|` and `@` mean something to vue-i18n:
 * write `{'|'}` and `{'@'}` for the signs themselves. */
export interface Tree {
  [key: string]: string | Tree
}

/** What a file of words exports. */
export interface Area {
  default: Record<string, Tree>
}

/** The same keys, other words. */
export type Translated<T> = { [K in keyof T]: T[K] extends string ? string : Translated<T[K]> }

/** The words of one area. A key that only one language has does not compile. */
export function messages<T extends Tree>(words: { en: T; zh: NoInfer<Translated<T>> }): { en: T; zh: Translated<T> } {
  return words
}
