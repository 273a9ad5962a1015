/** A request on its way from one page to another: pictures do not fit into an address. Taken once. */
import type { Attachment, ChatRequest } from '@/types'

let waiting: ChatRequest | null = null

export function handOver(request: ChatRequest): void {
  waiting = request
}

export function takeOver(): ChatRequest | null {
  const taken = waiting
  waiting = null
  return taken
}

/** The last question of a request, with what it is about: its own files, else those of the nearest question above that has any. */
export function lastQuestion({ turns }: ChatRequest): { text: string; attachments: Attachment[] } {
  const questions = turns.filter(({ role }) => role === 'user')
  const attachments = questions.findLast((turn) => turn.attachments.length > 0)?.attachments ?? []
  return { text: questions[questions.length - 1]?.text ?? '', attachments: [...attachments] }
}
