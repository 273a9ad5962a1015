/** A request on its way from one page to another: pictures do not fit into an address. Taken once. */
import type { ChatRequest } from '@/types'

let waiting: ChatRequest | null = null

export function handOver(request: ChatRequest): void {
  waiting = request
}

export function takeOver(): ChatRequest | null {
  const taken = waiting
  waiting = null
  return taken
}
