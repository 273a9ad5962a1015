/** A scene's request as code: a form with files, as `POST /api/scenes/{name}` takes it. */

import { codeOf, KEY_OR_NONE, lines, type Code, type CodePlace } from './code'
import type { CodeFile } from './codeFiles'
import { quoted, shellWord, toPython } from './literals'

/** A form knows only texts: lists are a line an entry, as the server reads rules. Empty fields are left out. */
function texts(fields: Record<string, unknown>): [name: string, text: string][] {
  return Object.entries(fields).flatMap(([name, value]): [string, string][] => {
    if (value === undefined || value === null || value === '') return []
    if (Array.isArray(value)) return value.length ? [[name, value.map(String).join('\n')]] : []
    return [[name, typeof value === 'object' ? JSON.stringify(value) : String(value)]]
  })
}

// curl splits -F at ; and " unless the name stands in double quotes of its own.
const formFile = (file: CodeFile) => shellWord(`image=@"${file.name}";type=${file.type}`)

function curl(url: string, fields: [string, string][], files: CodeFile[]): string {
  const parts = [
    `curl ${shellWord(url)}`,
    `-H "Authorization: Bearer ${KEY_OR_NONE.shell}"`,
    ...files.map((file) => `-F ${formFile(file)}`),
    // --form-string, because -F would read a value that begins with @ or < from a file
    ...fields.map(([name, text]) => `--form-string ${shellWord(`${name}=${text}`)}`),
  ]
  return parts.join(' \\\n  ') + '\n'
}

function python(url: string, fields: [string, string][], files: CodeFile[]): string {
  const opened = files.map((file) => `        ("image", (${quoted(file.name)}, open(${quoted(file.name)}, "rb"), ${quoted(file.type)})),`)
  return lines(
    'import os',
    '',
    'import requests',
    '',
    'response = requests.post(',
    `    ${quoted(url)},`,
    `    headers={"Authorization": "Bearer " + ${KEY_OR_NONE.python}},`,
    ...(opened.length ? ['    files=[', ...opened, '    ],'] : []),
    ...(fields.length ? [`    data=${toPython(Object.fromEntries(fields), '    ')},`] : []),
    ')',
    'response.raise_for_status()',
    'print(response.json())',
  )
}

function javascript(url: string, fields: [string, string][], files: CodeFile[]): string {
  return lines(
    ...(files.length ? ['import { readFile } from "node:fs/promises";', ''] : []),
    'const form = new FormData();',
    ...files.map(
      (file) =>
        `form.append("image", new Blob([await readFile(${quoted(file.name)})], { type: ${quoted(file.type)} }), ${quoted(file.name)});`,
    ),
    ...fields.map(([name, text]) => `form.append(${quoted(name)}, ${quoted(text)});`),
    `const response = await fetch(${quoted(url)}, {`,
    '  method: "POST",',
    `  headers: { Authorization: \`Bearer \${${KEY_OR_NONE.javascript}}\` },`,
    '  body: form,',
    '});',
    'if (!response.ok) throw new Error(await response.text());',
    'console.log(await response.json());',
  )
}

/** `fields` are the form's texts (question, rules, language, image_url ...), `files` its pictures. */
export function sceneCode(name: string, fields: Record<string, unknown>, files: readonly CodeFile[], place: CodePlace): Code {
  const url = `${place.baseUrl}/api/scenes/${encodeURIComponent(name)}`
  const form = texts(fields)
  return codeOf(files, (named) => ({ curl: curl(url, form, named), python: python(url, form, named), fetch: javascript(url, form, named) }))
}
