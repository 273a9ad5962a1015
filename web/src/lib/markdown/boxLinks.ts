/** The boxes an answer wrote, as buttons: found again in the finished text, so that a table, a list or code are all alike. */

export interface BoxMark {
  id: string
  raw: string // as it stands in the answer
  number: number // as it is shown on the picture
  name: string // what it does, in words
}

const BOX_MARK = /<\|(?:begin|end)_of_box\|>/g

export function linkBoxes(root: ParentNode & Node, marks: readonly BoxMark[]): void {
  const nodes = textNodes(root)
  for (const node of nodes) if (node.data.includes('_of_box|>')) node.data = node.data.replace(BOX_MARK, '')
  if (!marks.length) return
  const whole = nodes.map((node) => node.data).join('')
  let from = 0
  const places: { start: number; end: number; mark: BoxMark }[] = []
  for (const mark of marks) {
    const pattern = new RegExp(patternOf(mark.raw), 'g')
    pattern.lastIndex = from
    const match = pattern.exec(whole)
    if (!match) continue
    from = match.index + match[0].length
    places.push({ start: match.index, end: from, mark })
  }
  // From behind, so that the places before keep their offsets.
  for (const place of places.reverse()) replace(nodes, place.start, place.end, place.mark)
}

/** A line break or indentation inside a box may have become other white space. */
function patternOf(raw: string): string {
  return raw.replace(BOX_MARK, '').trim().split(/\s+/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('\\s*')
}

function textNodes(root: Node): Text[] {
  const found: Text[] = []
  const visit = (node: Node): void => {
    if (node.nodeType === Node.TEXT_NODE) found.push(node as Text)
    else if (!(node instanceof Element && node.matches('a, button, .math, .code-head'))) node.childNodes.forEach(visit)
  }
  visit(root)
  return found
}

function replace(nodes: Text[], start: number, end: number, mark: BoxMark): void {
  let offset = 0
  let button: HTMLButtonElement | null = null
  for (let i = 0; i < nodes.length && offset < end; i++) {
    const node = nodes[i] as Text
    const length = node.data.length
    const [from, to] = [Math.max(0, start - offset), Math.min(length, end - offset)]
    offset += length
    if (from >= to) continue
    const words = node.data.slice(from, to)
    if (button) {
      button.textContent += words
      node.data = node.data.slice(0, from) + node.data.slice(to)
    } else {
      button = buttonFor(mark, words)
      const rest = node.splitText(from)
      rest.data = rest.data.slice(to - from)
      rest.parentNode?.insertBefore(button, rest)
    }
  }
}

function buttonFor(mark: BoxMark, words: string): HTMLButtonElement {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'box-link'
  button.dataset.box = mark.id
  button.dataset.number = String(mark.number)
  button.title = mark.name // its description; its name is what is seen, so that it can be called by voice
  button.textContent = words
  return button
}
