/** An answer as HTML for a file that stands alone: by the page's own sanitised way, without anything that needs a script. */
import { loadFormulas, mathMlOf } from '@/lib/markdown/formulas'
import { BlockStream } from '@/lib/markdown/blocks'
import { renderBlock, type Words } from '@/lib/markdown/render'

export async function answerHtml(text: string, words: Words): Promise<string> {
  const root = document.createElement('div')
  for (const { source, env } of new BlockStream().update(text, false)) root.append(renderBlock(source, env, [], words))
  const formulas = [...root.querySelectorAll<HTMLElement>('.math')]
  if (formulas.length > 0) {
    const engine = await loadFormulas()
    for (const formula of formulas) formula.replaceChildren(mathMlOf(formula, engine) ?? formula.dataset.tex ?? '')
  }
  for (const element of root.querySelectorAll('button')) element.remove() // copies nothing there
  for (const element of root.querySelectorAll('[tabindex]')) element.removeAttribute('tabindex')
  for (const element of root.querySelectorAll('[data-tex]')) element.removeAttribute('data-tex') // MathML has it as its annotation
  for (const task of root.querySelectorAll<HTMLElement>('.task')) task.textContent = task.dataset.done === 'yes' ? '☑ ' : '☐ '
  return root.innerHTML
}
