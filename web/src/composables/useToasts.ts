import { reactive, readonly } from 'vue'

export type ToastTone = 'info' | 'ok' | 'warn' | 'danger'

export interface Toast {
  id: number
  text: string
  tone: ToastTone
}

const SHOWN_MS = { info: 5_000, ok: 4_000, warn: 8_000, danger: 12_000 } // bad news needs longer
const MOST = 4

const toasts = reactive<Toast[]>([])
let lastId = 0

function dismiss(id: number): void {
  const at = toasts.findIndex((toast) => toast.id === id)
  if (at >= 0) toasts.splice(at, 1)
}

function show(text: string, tone: ToastTone = 'info'): void {
  const same = toasts.find((toast) => toast.text === text)
  if (same) dismiss(same.id) // said again, not twice
  const id = ++lastId
  toasts.push({ id, text, tone })
  if (toasts.length > MOST) toasts.shift()
  setTimeout(() => dismiss(id), SHOWN_MS[tone])
}

/** Short notes at the edge of the page, read out by screen readers. */
export function useToasts() {
  return { toasts: readonly(toasts), show, dismiss }
}
