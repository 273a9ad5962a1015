import { onMounted, watch, type Ref } from 'vue'

const SENTENCE = 'li, tr, p, dd'

/**
 * The box buttons of a text: which one the reader means (click, focus, or the pointer over the button or over a sentence,
 * row or item with one box), and which one is lit because the picture says so.
 */
export function useBoxLinks(root: Readonly<Ref<HTMLElement | null>>, active: Readonly<Ref<string | null | undefined>>, activate: (id: string) => void) {
  let last: string | null = null

  function say(id: string | undefined): void {
    if (id === undefined || id === active.value) return
    last = id
    activate(id)
  }

  function click(event: Event): void {
    say(buttonAt(event)?.dataset.box)
  }

  function pointer(event: PointerEvent): void {
    if (event.pointerType !== 'touch') say(buttonAt(event)?.dataset.box ?? onlyBoxOf(event))
  }

  function light(): void {
    for (const button of root.value?.querySelectorAll<HTMLElement>('[data-box]') ?? []) {
      const lit = button.dataset.box === active.value
      button.classList.toggle('active', lit)
      button.setAttribute('aria-pressed', String(lit))
    }
  }

  watch(active, (id) => {
    light()
    if (!id || id === last) return // what the reader points at needs no scrolling to
    last = null
    root.value?.querySelector(`[data-box="${CSS.escape(id)}"]`)?.scrollIntoView({ block: 'nearest', behavior: 'smooth' })
  })
  onMounted(light)
  return { click, pointer, light }
}

function buttonAt(event: Event): HTMLElement | null {
  return (event.target as Element).closest<HTMLElement>('[data-box]')
}

function onlyBoxOf(event: Event): string | undefined {
  const buttons = (event.target as Element).closest(SENTENCE)?.querySelectorAll<HTMLElement>('[data-box]')
  return buttons?.length === 1 ? buttons[0]?.dataset.box : undefined
}
