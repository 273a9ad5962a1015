import type { InjectionKey, Ref } from 'vue'
import type { Attachment, Message } from '@/types'

/** What a reader asks for at a message; the view does it. */
export type Act =
  | { do: 'regenerate' | 'continue' | 'remove' | 'code' | 'compare' | 'show'; id: string }
  | { do: 'edit'; id: string; text: string; attachments: Attachment[] }
  | { do: 'zoom'; id: string; picture: string }
  | { do: 'unlock'; id: string; password: string }

/** Whether an answer is being made. Not a prop: it would draw every message of a long conversation again, twice an answer. */
export const BUSY: InjectionKey<Readonly<Ref<boolean>>> = Symbol('busy')

/** The answer that grows, under the id of its beginning in the path. Not a prop either: only who shows it is drawn again. */
export const LIVE: InjectionKey<Readonly<Ref<Message | null>>> = Symbol('live')

export type AnswerState = 'live' | SettledState
export type SettledState = 'done' | 'elsewhere' | 'interrupted'
