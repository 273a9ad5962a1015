/** A request as code that can be run: what `chatCode` and `sceneCode` make. The key is always an environment variable. */

import { namedFiles, type CodeFile } from './codeFiles'

export interface CodeSample {
  id: 'curl' | 'python' | 'javascript' | 'fetch'
  language: 'bash' | 'python' | 'javascript'
  text: string
}

export interface Code {
  samples: CodeSample[]
  files: CodeFile[] // under the names that the samples read
}

export interface CodePlace {
  baseUrl: string // of the server, without a path
  model?: string // where the request names none: the openai packages insist on one
}

const KEY = 'FLASHWEB_API_KEY'

/** Where the server asks for none, the packages insist on one all the same. */
export const KEY_OR_NONE = {
  shell: `\${${KEY}:-not-needed}`,
  python: `os.environ.get("${KEY}", "not-needed")`,
  javascript: `process.env.${KEY} ?? "not-needed"`,
} as const

const LANGUAGES = { curl: 'bash', python: 'python', javascript: 'javascript', fetch: 'javascript' } as const

/** Parts that are left out leave no line. */
export const lines = (...parts: (string | false | undefined)[]) => parts.filter((line) => line !== false && line !== undefined).join('\n') + '\n'

/** `write` makes a sample with the files under the names that it reads. */
export function codeOf(files: readonly CodeFile[], write: (named: CodeFile[]) => Partial<Record<CodeSample['id'], string>>): Code {
  const named = namedFiles(files)
  const texts = Object.entries(write(named)) as [CodeSample['id'], string][]
  return { files: named, samples: texts.map(([id, text]) => ({ id, language: LANGUAGES[id], text })) }
}
