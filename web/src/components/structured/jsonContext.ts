import type { InjectionKey } from 'vue'
import type { Path } from '@/lib/structured/jsonSchema'

/** What every cell of a table must know, however deep it stands. */
export interface JsonContext {
  wrong: (path: Path) => string // why the value there does not fit; empty where it does
  open: (path: Path) => boolean // the model is writing it
  editable: () => boolean
  edit: (path: Path, value: unknown) => void
}

export const JSON_CONTEXT: InjectionKey<JsonContext> = Symbol('json table')

export const pathKey = (path: Path): string => JSON.stringify(path)

export const pathName = (path: Path): string =>
  path.reduce<string>((name, step) => (typeof step === 'number' ? `${name}[${step + 1}]` : name ? `${name}.${step}` : step), '')
