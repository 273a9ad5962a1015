/**
 * Makes what stands in the page equal to what is wanted, touching only what differs: a selection in a paragraph survives
 * the words that come after it, and a formula or a coloured piece of code is not made twice.
 */

export function patch(target: Node, wanted: Node): void {
  const have = [...target.childNodes]
  const want = [...wanted.childNodes]
  want.forEach((next, i) => {
    const now = have[i]
    if (!now) target.appendChild(next)
    else if (!same(now, next)) target.replaceChild(next, now)
    else if (now.nodeType === Node.TEXT_NODE) growText(now as Text, (next as Text).data)
    else if (!finished(now as Element, next as Element)) {
      syncAttributes(now as Element, next as Element)
      patch(now, next)
    }
  })
  for (const extra of have.slice(want.length)) target.removeChild(extra)
}

function same(now: Node, next: Node): boolean {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) return false
  if (now.nodeType !== Node.ELEMENT_NODE) return true
  const [a, b] = [now as Element, next as Element]
  // A formula's and a piece of code's insides are not the parser's: all or nothing.
  if (a.hasAttribute('data-tex') || b.hasAttribute('data-tex')) return formulaKey(a) === formulaKey(b)
  if (a.hasAttribute('data-coloured')) return finished(a, b)
  return a.getAttribute('data-box') === b.getAttribute('data-box') && a.classList.contains('code') === b.classList.contains('code')
}

function finished(now: Element, next: Element): boolean {
  if (now.hasAttribute('data-tex')) return true
  if (!now.hasAttribute('data-coloured')) return false
  return now.getAttribute('data-lang') === next.getAttribute('data-lang') && now.querySelector('code')?.textContent === next.querySelector('code')?.textContent && boxIds(now) === boxIds(next)
}

function formulaKey(element: Element): string {
  return `${element.getAttribute('data-math')} ${element.getAttribute('data-tex')}`
}

function boxIds(element: Element): string {
  return [...element.querySelectorAll('[data-box]')].map((box) => box.getAttribute('data-box')).join()
}

/** Text that only grew is appended to, because replacing it would drop a selection inside it. */
function growText(now: Text, data: string): void {
  if (now.data === data) return
  if (data.startsWith(now.data)) now.appendData(data.slice(now.data.length))
  else now.data = data
}

function syncAttributes(now: Element, next: Element): void {
  for (const { name } of [...now.attributes]) if (!next.hasAttribute(name)) now.removeAttribute(name)
  for (const { name, value } of [...next.attributes]) if (now.getAttribute(name) !== value) now.setAttribute(name, value)
}
