/** What the build does beyond Vite's own: fonts in one format, text packed, and a note of which sources it was made from. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import type { Plugin, Rolldown } from 'vite'

type Program = ReturnType<Rolldown.PluginContext['parse']>

const OLDER_FORMATS = /,\s*url\([^)]*\.(?:woff|ttf)["']?\)\s*format\(["'](?:woff|truetype)["']\)/g

/** KaTeX brings each font three times; every browser that runs this page reads woff2. */
export function woff2Only(): Plugin {
  return {
    name: 'woff2-only',
    enforce: 'pre',
    transform(code, id) {
      return /katex.*\.css/.test(id) ? { code: code.replace(OLDER_FORMATS, ''), map: null } : undefined
    },
  }
}

/** Text stays in the folder packed only: the server sends it so, and the repository holds a third of the bytes. */
export function textPacked(): Plugin {
  return {
    name: 'text-packed',
    apply: 'build',
    writeBundle(options, bundle) {
      for (const name of Object.keys(bundle).filter((name) => TEXT.test(name))) {
        const path = join(options.dir ?? '.', name)
        writeFileSync(`${path}.gz`, packed(readFileSync(path)))
        rmSync(path)
      }
    },
  }
}

const TEXT = /\.(?:js|css|html|svg|json)$/
const SYSTEM = 9 // where RFC 1952 has the system that packed it; time and name are left out already

export function packed(content: Uint8Array): Buffer {
  const whole = gzipSync(content, { level: constants.Z_BEST_COMPRESSION })
  whole[SYSTEM] = 255 // unknown
  return whole
}

/** `chat.ts?only=zh` is a file of words (`export default messages({ en, zh })`) with that language's alone: a translation
 * stands beside what it translates, and a browser loads one language. */
export function oneLanguage(): Plugin {
  return {
    name: 'one-language',
    enforce: 'pre',
    transform(code, id) {
      const only = /\/locales\/\w+\.ts\?only=(\w+)$/.exec(id)?.[1]
      return only ? { code: withoutOthers(code, this.parse(code, { lang: 'ts' }), only), map: null } : undefined
    },
  }
}

function withoutOthers(code: string, program: Program, only: string): string {
  const exported = program.body.find((one) => one.type === 'ExportDefaultDeclaration')?.declaration
  const words = exported?.type === 'CallExpression' ? exported.arguments[0] : undefined
  if (words?.type !== 'ObjectExpression') throw new Error('words are exported as messages({ en: ..., zh: ... })')
  for (const one of words.properties.toReversed()) {
    const isOther = one.type === 'Property' && one.key.type === 'Identifier' && one.key.name !== only
    if (isOther) code = `${code.slice(0, one.value.start)}{}${code.slice(one.value.end)}`
  }
  return code
}

/** What a build is made from. Tests, types and what they need change nothing in it. tools/built.py knows the same list. */
const PARTS = ['index.html', 'package-lock.json', 'public', 'src', 'tools/plugins.ts', 'tsconfig.json', 'vite.config.ts']
const NOT_BUILT = /\.spec\.ts$|\.d\.ts$|(^|\/)fixtures\//

/** source.sha256 beside index.html: a test without Node compares it with the checkout. */
export function sourceDigest(root: string): Plugin {
  let begun = ''
  return {
    name: 'source-digest',
    apply: 'build',
    buildStart() {
      begun = digestOf(root)
    },
    generateBundle() {
      if (digestOf(root) !== begun) throw new Error('a source changed while the page was built: build it again')
      this.emitFile({ type: 'asset', fileName: 'source.sha256', source: `${begun}\n` })
    },
  }
}

export function digestOf(root: string): string {
  const all = createHash('sha256')
  for (const name of PARTS.flatMap((part) => filesOf(root, part)).filter((name) => !NOT_BUILT.test(name)).sort(byCode)) {
    const one = createHash('sha256').update(readFileSync(join(root, name))).digest('hex')
    all.update(`${one}  ${name}\n`)
  }
  return all.digest('hex')
}

function filesOf(root: string, name: string): string[] {
  const path = join(root, name)
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [name]
  return readdirSync(path).flatMap((inside) => filesOf(root, `${name}/${inside}`))
}

/** As Python sorts; localeCompare would depend on the machine. */
const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
