// @vitest-environment node
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chatCode } from './chatCode'
import type { CodeSample } from './code'
import { sceneCode } from './sceneCode'

// The samples are run, with stand-ins for curl, the openai packages and fetch that write down what they were given.
const HOSTILE = `it's "quoted" \\ \\n \`whoami\` $(whoami) \${HOME} $HOME %s !x\n\tBODY\nBODY\n'''"""\u2028 \u202e 税额：￥1 😀 {{x}} */ </script>`
const BYTES = { 'in voice.png': Buffer.from([137, 80, 78, 71, 0, 255, 10]), 'in voice-2.jpg': Buffer.from('second') }
const FILES = [
  { name: `../in voice.png`, type: 'image/png' },
  { name: 'in voice-2.HEIC', type: 'image/jpeg' }, // made smaller by the page
]
const place = { baseUrl: 'http://127.0.0.1:8080', model: 'flashweb-nano' }

const body = {
  messages: [
    { role: 'system', content: HOSTILE },
    {
      role: 'user',
      content: [
        { type: 'image_url', image_url: { url: 'placeholder:1', detail: 'low' } },
        { type: 'image_url', image_url: { url: 'https://example.org/x.png?a=$b' } },
        { type: 'file', file: { file_data: 'placeholder:2', filename: "o'dd.heic" }, pages: '1-2' },
        { type: 'text', text: HOSTILE },
      ],
    },
  ],
  stream: true,
  temperature: 0.5,
  top_k: 20,
  stop: [HOSTILE],
  chat_template_kwargs: { enable_thinking: false },
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object', properties: { "it's": { enum: [null, true, HOSTILE] } } } } },
}

function sent() {
  const [, user] = body.messages
  const parts = structuredClone(user?.content) as { image_url?: { url: string }; file?: { file_data: string; filename: string } }[]
  const [one, , two] = parts
  if (one?.image_url) one.image_url.url = `data:image/png;base64,${BYTES['in voice.png'].toString('base64')}`
  if (two?.file) two.file = { file_data: `data:image/jpeg;base64,${BYTES['in voice-2.jpg'].toString('base64')}`, filename: 'in voice-2.jpg' }
  return { ...body, messages: [body.messages[0], { ...user, content: parts }] }
}

let folder = ''
const has = (program: string) => spawnSync(program, ['--version']).status === 0
const sample = (samples: CodeSample[], id: string) => samples.find((one) => one.id === id)?.text ?? ''
const env = { ...process.env, FLASHWEB_API_KEY: 'k', PYTHONPATH: '', PYTHONDONTWRITEBYTECODE: '1' }

function run(program: string, args: string[]): string {
  return execFileSync(program, args, { cwd: folder, encoding: 'utf8', env: { ...env, PYTHONPATH: folder } })
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'code-'))
  for (const [name, bytes] of Object.entries(BYTES)) writeFileSync(join(folder, name), bytes)
  mkdirSync(join(folder, 'node_modules/openai'), { recursive: true })
  writeFileSync(join(folder, 'node_modules/openai/package.json'), '{"type":"module","main":"index.js"}')
  writeFileSync(
    join(folder, 'node_modules/openai/index.js'),
    `export default class { constructor(options) { this.chat = { completions: { create: async (body) => {
       console.log(JSON.stringify({ options, body })); return (async function* () {})() } } } } }`,
  )
  writeFileSync(
    join(folder, 'openai.py'),
    `import json\nclass OpenAI:\n    def __init__(self, **options):\n        self.options = options\n        self.chat = self.completions = self\n    def create(self, **body):\n        print(json.dumps(body))\n        return []\n`,
  )
  writeFileSync(join(folder, 'curl'), '#!/bin/sh\ncat\n', { mode: 0o755 })
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('a chat as code', () => {
  it('sends with curl the very body, whatever the texts hold', () => {
    const text = sample(chatCode(body, FILES, place).samples, 'curl')
    writeFileSync(join(folder, 'curl.sh'), `PATH="$PWD:$PATH"\n${text}`)
    expect(JSON.parse(run('bash', ['curl.sh']))).toEqual(sent())
  })

  it('sends with curl the very body without files too, where nothing is expanded', () => {
    const plain = { messages: [{ role: 'user', content: HOSTILE }] }
    writeFileSync(join(folder, 'plain.sh'), `PATH="$PWD:$PATH"\n${sample(chatCode(plain, [], place).samples, 'curl')}`)
    expect(JSON.parse(run('bash', ['plain.sh']))).toEqual(plain)
  })

  it.runIf(has('python3'))('sends with the Python package the same, what it has no parameter for in extra_body', () => {
    writeFileSync(join(folder, 'ask.py'), sample(chatCode(body, FILES, place).samples, 'python'))
    const { extra_body, model, ...rest } = JSON.parse(run('python3', ['ask.py'])) as Record<string, object>
    expect(model).toBe('flashweb-nano')
    expect(extra_body).toEqual({ top_k: 20, chat_template_kwargs: { enable_thinking: false } })
    expect({ ...rest, ...extra_body }).toEqual(sent())
  })

  it('sends with the JavaScript package the same', () => {
    writeFileSync(join(folder, 'ask.mjs'), sample(chatCode(body, FILES, place).samples, 'javascript'))
    const { options, body: got } = JSON.parse(run('node', ['ask.mjs'])) as { options: object; body: Record<string, unknown> }
    expect(options).toEqual({ baseURL: 'http://127.0.0.1:8080/v1', apiKey: 'k' })
    expect(got).toEqual({ ...sent(), model: 'flashweb-nano' })
  })

  it('sends with plain fetch the same, and reads a stream that is cut inside a character', () => {
    const stand_in = `globalThis.fetch = async (url, init) => {
      const event = new TextEncoder().encode('data: {"choices":[{"delta":{"content":"税"}}]}\\n\\ndata: [DONE]\\n\\n');
      console.log(JSON.stringify({ url, body: JSON.parse(init.body) }));
      return { ok: true, body: (async function* () { for (const byte of event) yield new Uint8Array([byte]); })() };
    };\n`
    writeFileSync(join(folder, 'fetch.mjs'), stand_in + sample(chatCode(body, FILES, place).samples, 'fetch'))
    const [first = '', second] = run('node', ['fetch.mjs']).split('\n')
    expect(JSON.parse(first)).toEqual({ url: 'http://127.0.0.1:8080/v1/chat/completions', body: sent() })
    expect(second).toBe('税')
  })

  it('shows characters that cannot be seen as escapes, and never leaves the folder', () => {
    const { samples, files } = chatCode(body, FILES, place)
    expect(files.map((file) => file.name)).toEqual(['in voice.png', 'in voice-2.jpg'])
    for (const { text } of samples) expect(text).not.toMatch(/[\u2028\u202e]|\.\.\//)
  })

  it('gives two files of one name two names', () => {
    const twice = [{ name: 'A.png', type: 'image/png' }, { name: 'a.png', type: 'image/png' }, { name: '"; rm -rf "', type: '' }]
    expect(chatCode({ messages: [] }, twice, place).files.map((file) => file.name)).toEqual(['A.png', 'a-2.png', '_ rm -rf _'])
  })
})

describe('a scene as code', () => {
  const fields = { question: `@/etc/passwd ${HOSTILE}`, rules: ['a', 'b;type=x'], language: '', max_tokens: 100 }
  const { samples } = sceneCode('receipt', fields, FILES, place)
  const rules = 'a\nb;type=x'

  it('sends the form with curl', () => {
    writeFileSync(join(folder, 'form.sh'), `curl() { printf '%s\\0' "$@"; }\n${sample(samples, 'curl')}`)
    const words = run('bash', ['form.sh']).split('\0')
    expect(words[0]).toBe('http://127.0.0.1:8080/api/scenes/receipt')
    expect(words).toContain('image=@"in voice.png";type=image/png')
    expect(words).toContain(`question=${fields.question}`)
    expect(words).toContain(`rules=${rules}`)
    expect(words.some((word) => word.startsWith('language='))).toBe(false)
  })

  it('sends the form with fetch', () => {
    const stand_in = `globalThis.fetch = async (url, { body }) => {
      const found = []; for (const [name, value] of body) found.push([name, typeof value === 'string' ? value : [value.name, value.type, await value.text()]]);
      console.log(JSON.stringify(found)); return { ok: true, json: async () => 0 } };\n`
    writeFileSync(join(folder, 'form.mjs'), stand_in + sample(samples, 'fetch'))
    const found = JSON.parse(run('node', ['form.mjs']).split('\n')[0] ?? '') as [string, unknown][]
    expect(found[1]).toEqual(['image', ['in voice-2.jpg', 'image/jpeg', 'second']])
    // A form's text has lines that end as forms' lines do once it is sent; FormData itself keeps them.
    expect(Object.fromEntries(found)).toMatchObject({ question: fields.question, rules, max_tokens: '100' })
  })

  it.runIf(has('python3'))('sends the form with Python', () => {
    writeFileSync(
      join(folder, 'requests.py'),
      'import json\ndef post(url, headers, files, data):\n    print(json.dumps([url, [f[1][0] for f in files], data]))\n    return type("R", (), {"raise_for_status": lambda s: 0, "json": lambda s: 0})()\n',
    )
    writeFileSync(join(folder, 'form.py'), sample(samples, 'python'))
    const [, names, data] = JSON.parse(run('python3', ['form.py']).split('\n')[0] ?? '') as [string, string[], object]
    expect(names).toEqual(['in voice.png', 'in voice-2.jpg'])
    expect(data).toEqual({ question: fields.question, rules, max_tokens: '100' })
  })

  it('has no key in any sample', () => {
    for (const { text } of samples) expect(text).toContain('FLASHWEB_API_KEY')
  })
})
