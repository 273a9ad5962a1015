/**
 * KaTeX, fetched with the first formula. It builds nodes, not HTML: their sizes go through the CSSOM, which the page's
 * policy allows where it forbids style attributes. Some of its nodes (arrows over letters, tall roots, boxes, poor man's
 * bold) have such attributes all the same: those are put aside in its tree and set through the CSSOM too.
 * What it cannot set stays as TeX; one bad formula harms no other.
 */
import type { KatexOptions } from 'katex'

/** A node of KaTeX's own tree, before it is one of the page. */
interface Built {
  toNode(): Node
  children?: Built[]
  attributes?: Record<string, string>
}

export interface Engine {
  __renderToDomTree(tex: string, options: KatexOptions): Built
}

let engine: Promise<Engine> | null = null
const LONGEST = 5000
const ASIDE = 'data-style'
const OPTIONS = { throwOnError: false, trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20 } as const

export function loadFormulas(): Promise<Engine> {
  engine ??= Promise.all([import('katex'), import('katex/dist/katex.min.css')]).then(([module]) => module.default as unknown as Engine)
  return engine
}

export function setFormula(element: HTMLElement, engineNow: Engine): void {
  const tex = element.getAttribute('data-tex') ?? ''
  element.setAttribute('data-set', '')
  if (tex.length > LONGEST) return
  const holder = document.createElement('span')
  try {
    const built = engineNow.__renderToDomTree(tex, { ...OPTIONS, displayMode: element.dataset.math === 'display' })
    putStylesAside(built)
    holder.append(built.toNode())
  } catch {
    return // not a parse error (those are shown in place) but something of KaTeX itself
  }
  if (holder.querySelector('.katex-error')) {
    element.classList.add('math-error')
    return
  }
  for (const styled of holder.querySelectorAll<HTMLElement | SVGElement | MathMLElement>(`[${ASIDE}]`)) {
    const style = styled.style as CSSStyleDeclaration | undefined // older browsers know no style of MathML, which is only read aloud
    if (style) style.cssText = styled.getAttribute(ASIDE) ?? ''
    styled.removeAttribute(ASIDE)
  }
  element.replaceChildren(...holder.childNodes)
}

/** For a file that has neither the fonts nor the sheet; null where it cannot be set. */
export function mathMlOf(element: HTMLElement, engineNow: Engine): Node | null {
  const tex = element.dataset.tex ?? ''
  if (tex.length > LONGEST) return null
  try {
    const built = engineNow.__renderToDomTree(tex, { ...OPTIONS, output: 'mathml', displayMode: element.dataset.math === 'display' })
    putStylesAside(built)
    const node = built.toNode()
    return node instanceof Element && !node.classList.contains('katex-error') ? node : null
  } catch {
    return null
  }
}

function putStylesAside(built: Built): void {
  const { attributes } = built
  if (attributes?.style !== undefined) {
    attributes[ASIDE] = attributes.style
    delete attributes.style
  }
  built.children?.forEach(putStylesAside)
}
