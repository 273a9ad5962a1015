import type { InjectionKey, Ref } from 'vue'
import type { Attachment, Message } from '@/types'

/** What a reader asks for at a message; the view does it. */
export type Act =
  | { do: 'regenerate' | 'continue' | 'remove' | 'code' | 'compare' | 'show'; id: string }
  | { do: 'edit'; id: string; text: string; attachments: Attachment[] }
  | { do: 'zoom'; id: string; picture: string }
  | { do: 'unlock'; id: string; password: string }

/** Why nothing can be asked in this conversation now, as a key below `composer.why`; null when something can. Not a prop: it
 * would draw every message of a long conversation again, twice an answer. */
export const WHY_NOT: InjectionKey<Readonly<Ref<string | null>>> = Symbol('why not')

/** The answer that grows, under the id of its beginning in the path. Not a prop either: only who shows it is drawn again. */
export const LIVE: InjectionKey<Readonly<Ref<Message | null>>> = Symbol('live')

export type AnswerState = 'live' | SettledState
export type SettledState = 'done' | 'elsewhere' | 'interrupted'
