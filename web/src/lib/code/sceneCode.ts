/** A scene's request as code: a form with files, as `POST /api/scenes/{name}` takes it. */

import type { Code, CodePlace } from './code'
import { namedFiles, type CodeFile } from './codeFiles'
import { quoted, shellWord, toPython } from './literals'

const KEY = 'FLASHWEB_API_KEY'

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
    `-H "Authorization: Bearer \${${KEY}:-not-needed}"`,
    ...files.map((file) => `-F ${formFile(file)}`),
    // --form-string, because -F would read a value that begins with @ or < from a file
    ...fields.map(([name, text]) => `--form-string ${shellWord(`${name}=${text}`)}`),
  ]
  return parts.join(' \\\n  ') + '\n'
}

function python(url: string, fields: [string, string][], files: CodeFile[]): string {
  const opened = files.map((file) => `        ("image", (${quoted(file.name)}, open(${quoted(file.name)}, "rb"), ${quoted(file.type)})),`)
  return [
    'import os',
    '',
    'import requests',
    '',
    'response = requests.post(',
    `    ${quoted(url)},`,
    `    headers={"Authorization": "Bearer " + os.environ.get("${KEY}", "not-needed")},`,
    ...(opened.length ? ['    files=[', ...opened, '    ],'] : []),
    ...(fields.length ? [`    data=${toPython(Object.fromEntries(fields), '    ')},`] : []),
    ')',
    'response.raise_for_status()',
    'print(response.json())',
    '',
  ].join('\n')
}

function javascript(url: string, fields: [string, string][], files: CodeFile[]): string {
  return [
    ...(files.length ? ['import { readFile } from "node:fs/promises";', ''] : []),
    'const form = new FormData();',
    ...files.map(
      (file) =>
        `form.append("image", new Blob([await readFile(${quoted(file.name)})], { type: ${quoted(file.type)} }), ${quoted(file.name)});`,
    ),
    ...fields.map(([name, text]) => `form.append(${quoted(name)}, ${quoted(text)});`),
    `const response = await fetch(${quoted(url)}, {`,
    '  method: "POST",',
    `  headers: { Authorization: \`Bearer \${process.env.${KEY} ?? "not-needed"}\` },`,
    '  body: form,',
    '});',
    'if (!response.ok) throw new Error(await response.text());',
    'console.log(await response.json());',
    '',
  ].join('\n')
}

/** `fields` are the form's texts (question, rules, language, image_url ...), `files` its pictures. */
export function sceneCode(name: string, fields: Record<string, unknown>, files: readonly CodeFile[], place: CodePlace): Code {
  const url = `${place.baseUrl}/api/scenes/${encodeURIComponent(name)}`
  const named = namedFiles(files)
  const form = texts(fields)
  return {
    files: named,
    samples: [
      { id: 'curl', language: 'bash', text: curl(url, form, named) },
      { id: 'python', language: 'python', text: python(url, form, named) },
      { id: 'fetch', language: 'javascript', text: javascript(url, form, named) },
    ],
  }
}
