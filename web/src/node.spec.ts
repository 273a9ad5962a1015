// @vitest-environment node
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

it('asks for one Node wherever it asks for Node', () => {
  const { engines } = JSON.parse(read('../package.json')) as { engines: { node: string } }
  const asked = /^>=([\d.]+)$/.exec(engines.node)![1]!
  for (const place of ['../../docs/page.md', '../../CONTRIBUTING.md', '../../src/flashweb/api/static/landing.html']) {
    const named = [...read(place).matchAll(/Node (\d[\d.]*\d)/g)].map(([, version]) => version)
    expect(new Set(named), place).toEqual(new Set([asked]))
  }
})
