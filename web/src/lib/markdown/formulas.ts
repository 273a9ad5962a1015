/**
 * KaTeX, fetched with the first formula. It builds nodes, not HTML: their sizes go through the CSSOM, which the page's
 * policy allows where it forbids style attributes. What it cannot set stays as TeX; one bad formula harms no other.
 */
import type katex from 'katex'

let engine: Promise<typeof katex> | null = null
const LONGEST = 5000

export function loadFormulas(): Promise<typeof katex> {
  engine ??= Promise.all([import('katex'), import('katex/dist/katex.min.css')]).then(([module]) => module.default)
  return engine
}

export function setFormula(element: HTMLElement, engineNow: typeof katex): void {
  const tex = element.getAttribute('data-tex') ?? ''
  element.setAttribute('data-set', '')
  if (tex.length > LONGEST) return
  const holder = document.createElement('span')
  try {
    engineNow.render(tex, holder, { displayMode: element.dataset.math === 'display', throwOnError: false, trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20 })
  } catch {
    return // not a parse error (those are shown in place) but something of KaTeX itself
  }
  if (holder.querySelector('.katex-error')) {
    element.classList.add('math-error')
    return
  }
  for (const styled of holder.querySelectorAll<SVGElement | HTMLElement>('svg[style]')) styled.style.cssText = styled.getAttribute('style') ?? ''
  element.replaceChildren(...holder.childNodes)
}
