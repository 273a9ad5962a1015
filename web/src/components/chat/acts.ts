import type { Attachment } from '@/types'

/** What a reader asks for at a message; the view does it. */
export type Act =
  | { do: 'regenerate' | 'continue' | 'remove' | 'code' | 'compare' | 'show'; id: string }
  | { do: 'edit'; id: string; text: string; attachments: Attachment[] }
  | { do: 'zoom'; id: string; picture: string }

export type AnswerState = 'live' | 'done' | 'elsewhere' | 'interrupted'
