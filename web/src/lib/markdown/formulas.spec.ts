import { describe, expect, it } from 'vitest'
import { loadFormulas, setFormula, type Engine } from './formulas'

type Built = ReturnType<Engine['__renderToDomTree']>

async function formula(tex: string, mode = 'inline', engine?: Engine): Promise<HTMLElement> {
  const element = document.createElement('span')
  Object.assign(element.dataset, { tex, math: mode })
  element.textContent = tex
  setFormula(element, engine ?? (await loadFormulas()))
  return element
}

const stylesIn = ({ attributes, children }: Built): string[] => [...(attributes?.style ? [attributes.style] : []), ...(children ?? []).flatMap(stylesIn)]

/** KaTeX, looked at before and at the moment at which its tree becomes nodes. */
async function watched() {
  const real = await loadFormulas()
  const seen: { before: string[]; written: string[] } = { before: [], written: [] }
  const engine: Engine = {
    __renderToDomTree(tex, options) {
      const built = real.__renderToDomTree(tex, options)
      const toNode = built.toNode.bind(built)
      seen.before = stylesIn(built)
      built.toNode = () => {
        seen.written = stylesIn(built)
        return toNode()
      }
      return built
    },
  }
  return { engine, seen }
}

describe('a formula', () => {
  it.each(['\\vec{x}', '\\sqrt{\\frac{\\frac{a}{b}}{\\frac{c}{d}}}', '\\left(\\begin{matrix}a\\\\b\\\\c\\\\d\\\\e\\end{matrix}\\right)', '\\pmb{x}', '\\fcolorbox{red}{yellow}{x}', '\\colorbox{aqua}{x}'])(
    '%s writes no style as an attribute, which the policy of the page refuses',
    async (tex) => {
      const { engine, seen } = await watched()
      const element = await formula(tex, 'display', engine)
      expect(element.querySelector('.katex')).not.toBeNull()
      expect(element.querySelector('[data-style]')).toBeNull()
      expect(seen.written).toEqual([])
    },
  )

  it('has those styles all the same', async () => {
    const { engine, seen } = await watched()
    const arrow = (await formula('\\vec{x}', 'inline', engine)).querySelector('svg')
    expect(seen.before).not.toEqual([]) // else this tests nothing
    expect(arrow?.style.width).toMatch(/em$/)
  })

  it('that cannot be set stays as it was written', async () => {
    const element = await formula('\\frac{')
    expect(element.textContent).toBe('\\frac{')
    expect(element.classList.contains('math-error')).toBe(true)
  })
})
