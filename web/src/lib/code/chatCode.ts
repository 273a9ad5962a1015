/** A chat's request as code. */

import { codeOf, KEY_OR_NONE, lines, type Code, type CodePlace } from './code'
import type { CodeFile } from './codeFiles'
import { hereDocument, quoted, Raw, shellWord, toJavaScript, toJson, toPython, type Value } from './literals'

type Json = { [key: string]: Value | undefined }
type Reader = (file: CodeFile, index: number) => Raw

const ANY_MODEL = 'glm-4.6v-flash' // every server answers to it
const REMOTE = /^https?:\/\//i
const PARTS: Record<string, [holder: string, field: string]> = {
  image_url: ['image_url', 'url'],
  video_url: ['video_url', 'url'],
  file: ['file', 'file_data'],
}
// What chat.completions.create of the Python package has a parameter for; everything else goes in extra_body.
const PYTHON_KNOWS = new Set(
  `model messages stream stream_options temperature top_p max_tokens max_completion_tokens seed stop n presence_penalty
   frequency_penalty response_format logprobs top_logprobs logit_bias tools tool_choice parallel_tool_calls user
   reasoning_effort metadata`.split(/\s+/),
)

/** The body with an expression in place of every file's bytes: they are met in the order in which they were attached. */
function withFiles(body: Json, files: readonly CodeFile[], read: Reader): Json {
  let next = 0
  const part = (value: Value): Value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Raw) return value
    const [holder, field] = PARTS[String((value as Json).type)] ?? []
    const held = holder === undefined ? undefined : (value as Json)[holder]
    if (holder === undefined || field === undefined || typeof held !== 'object' || held === null) return value
    const url = (held as Json)[field]
    const file = files[next]
    if (typeof url !== 'string' || REMOTE.test(url) || file === undefined) return value
    const name = (held as Json).filename === undefined ? {} : { filename: file.name }
    return { ...(value as Json), [holder]: { ...(held as Json), ...name, [field]: read(file, next++) } }
  }
  const message = (value: Value): Value => {
    const content = (value as Json).content
    return Array.isArray(content) ? { ...(value as Json), content: (content as Value[]).map(part) } : value
  }
  return { ...body, messages: ((body.messages ?? []) as Value[]).map(message) }
}

function curl(body: Json, files: CodeFile[], place: CodePlace): string {
  const variable = (index: number) => `file_${index + 1}`
  const reads = files.map((file, index) => `${variable(index)}=$(base64 < ${shellWord(file.name)} | tr -d '\\n')`)
  // Two steps: first the JSON is made safe for the here-document, then the variables take their places.
  const unguessable = crypto.getRandomValues(new Uint32Array(4)).join('-')
  const marks = files.map((_, index) => `@@${unguessable}-${index}@@`)
  const json = toJson(withFiles(body, files, (_, index) => new Raw(marks[index] ?? '')), (mark) => mark)
  let document = files.length ? hereDocument(json) : json
  files.forEach((file, index) => {
    document = document.replace(marks[index] ?? '', () => `"data:${file.type};base64,\${${variable(index)}}"`)
  })
  return lines(
    ...reads,
    reads.length > 0 && '',
    `curl ${body.stream ? '-N ' : ''}${shellWord(`${place.baseUrl}/v1/chat/completions`)} \\`,
    `  -H "Authorization: Bearer ${KEY_OR_NONE.shell}" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  --data-binary @- <<${files.length ? 'BODY' : "'BODY'"}`,
    document,
    'BODY',
  )
}

const PYTHON_DATA_URL = `
def data_url(name, mime):
    return f"data:{mime};base64," + base64.b64encode(pathlib.Path(name).read_bytes()).decode()
`

function python(body: Json, files: CodeFile[], place: CodePlace): string {
  const whole = withFiles({ model: place.model ?? ANY_MODEL, ...body }, files, (file) =>
    new Raw(`data_url(${quoted(file.name)}, ${quoted(file.type)})`),
  )
  const known = Object.entries(whole).filter(([name, value]) => PYTHON_KNOWS.has(name) && value !== undefined)
  const extra = Object.fromEntries(Object.entries(whole).filter(([name]) => !PYTHON_KNOWS.has(name)))
  const names = known.map(([name, value]) => `    ${name}=${toPython(value as Value, '    ')},`)
  return lines(
    files.length > 0 && 'import base64',
    'import os',
    files.length > 0 && 'import pathlib',
    '',
    'from openai import OpenAI',
    files.length > 0 && `\n${PYTHON_DATA_URL}`,
    '',
    `client = OpenAI(base_url=${quoted(`${place.baseUrl}/v1`)}, api_key=${KEY_OR_NONE.python})`,
    'answer = client.chat.completions.create(',
    ...names,
    Object.values(extra).some((value) => value !== undefined) && `    extra_body=${toPython(extra, '    ')},`,
    ')',
    ...(body.stream
      ? ['for chunk in answer:', '    if chunk.choices:', '        print(chunk.choices[0].delta.content or "", end="", flush=True)', 'print()']
      : ['print(answer.choices[0].message.content)']),
  )
}

const READ_FILE = `import { readFile } from "node:fs/promises";`
const JS_DATA_URL = `
async function dataUrl(name, mime) {
  return \`data:\${mime};base64,\${(await readFile(name)).toString("base64")}\`;
}`
const jsReader: Reader = (file) => new Raw(`await dataUrl(${quoted(file.name)}, ${quoted(file.type)})`)

function javascript(body: Json, files: CodeFile[], place: CodePlace): string {
  const whole = withFiles({ model: place.model ?? ANY_MODEL, ...body }, files, jsReader)
  return lines(
    files.length > 0 && READ_FILE,
    'import OpenAI from "openai";',
    files.length > 0 && JS_DATA_URL,
    '',
    'const client = new OpenAI({',
    `  baseURL: ${quoted(`${place.baseUrl}/v1`)},`,
    `  apiKey: ${KEY_OR_NONE.javascript},`,
    '});',
    `const answer = await client.chat.completions.create(${toJavaScript(whole)});`,
    ...(body.stream
      ? ['for await (const chunk of answer) {', '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");', '}', 'console.log();']
      : ['console.log(answer.choices[0].message.content);']),
  )
}

// Events may be cut anywhere between two pieces of the network, also in the middle of a character.
const JS_STREAM = `const decoder = new TextDecoder();
let rest = "";
for await (const piece of response.body) {
  rest += decoder.decode(piece, { stream: true });
  const events = rest.split("\\n");
  rest = events.pop();
  for (const event of events) {
    if (!event.startsWith("data: ") || event.trim() === "data: [DONE]") continue;
    const chunk = JSON.parse(event.slice(6));
    if (chunk.error) throw new Error(chunk.error.message);
    process.stdout.write(chunk.choices?.[0]?.delta?.content ?? "");
  }
}
console.log();`

function plainFetch(body: Json, files: CodeFile[], place: CodePlace): string {
  return lines(
    files.length > 0 && READ_FILE,
    files.length > 0 && `${JS_DATA_URL.trim()}\n`,
    `const response = await fetch(${quoted(`${place.baseUrl}/v1/chat/completions`)}, {`,
    '  method: "POST",',
    '  headers: {',
    '    "Content-Type": "application/json",',
    `    Authorization: \`Bearer \${${KEY_OR_NONE.javascript}}\`,`,
    '  },',
    `  body: JSON.stringify(${toJavaScript(withFiles(body, files, jsReader), '  ')}),`,
    '});',
    'if (!response.ok) throw new Error(await response.text());',
    body.stream ? JS_STREAM : 'console.log((await response.json()).choices[0].message.content);',
  )
}

/** `body` is what goes over the wire; what stands there for the bytes of `files` does not matter, only their order does. */
export function chatCode(body: object, files: readonly CodeFile[], place: CodePlace): Code {
  const wire = body as Json
  return codeOf(files, (named) => ({
    curl: curl(wire, named, place),
    python: python(wire, named, place),
    javascript: javascript(wire, named, place),
    fetch: plainFetch(wire, named, place),
  }))
}
