/** Word between tabs of this page: which conversation changed, and which answer is still being made. */

export interface TabNews {
  conversationId?: string // absent: the list as a whole
  answering?: string // id of the message that this tab writes
}

// Missing in a few embedded browsers; there every tab is alone.
const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('flashweb-conversations')

export function tellTabs(news: TabNews): void {
  channel?.postMessage(news)
}

/** Calls with what other tabs tell, never with one's own; the result ends it. */
export function hearTabs(hear: (news: TabNews) => void): () => void {
  const listener = ({ data }: MessageEvent<unknown>) => {
    if (typeof data === 'object' && data !== null) hear(data as TabNews)
  }
  channel?.addEventListener('message', listener)
  return () => channel?.removeEventListener('message', listener)
}
