import type { InjectionKey, Ref } from 'vue'
import type { Attachment } from '@/types'

/** What a reader asks for at a message; the view does it. */
export type Act =
  | { do: 'regenerate' | 'continue' | 'remove' | 'code' | 'compare' | 'show'; id: string }
  | { do: 'edit'; id: string; text: string; attachments: Attachment[] }
  | { do: 'zoom'; id: string; picture: string }
  | { do: 'unlock'; id: string; password: string }

/** Whether an answer is being made. Not a prop: it would draw every message of a long conversation again, twice an answer. */
export const BUSY: InjectionKey<Readonly<Ref<boolean>>> = Symbol('busy')

export type AnswerState = 'live' | 'done' | 'elsewhere' | 'interrupted'
