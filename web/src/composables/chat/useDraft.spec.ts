import { flushPromises } from '@vue/test-utils'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import { History } from '@/lib/history/db'
import { newDraftKey } from '@/lib/history/newDraft'
import { settled } from '@/fixtures/waiting'
import { useDraft } from './useDraft'

const scopes: EffectScope[] = []

/** A browser's tab at an address: a session of its own, the database of all. */
function tab(session: Record<string, string> = {}, conversation?: string) {
  sessionStorage.clear()
  for (const [name, value] of Object.entries(session)) sessionStorage.setItem(name, value)
  setActivePinia(createPinia())
  const key = ref(conversation ?? newDraftKey())
  const scope = effectScope()
  scopes.push(scope)
  return { key, draft: scope.run(() => useDraft(key))!, session: { ...sessionStorage } as Record<string, string>, close: () => scope.stop() }
}

beforeEach(async () => void (await new History().db.drafts.clear()))
afterEach(async () => {
  for (const scope of scopes.splice(0)) scope.stop()
  await flushPromises()
})

describe('what is being written', () => {
  it('is a tab’s own at the page of a new conversation: emptying or closing one leaves the other', async () => {
    const one = tab()
    await settled()
    const other = tab()
    await settled()
    one.draft.text.value = 'of the first'
    other.draft.text.value = 'of the second'
    await settled()
    other.close()
    one.draft.take()
    await settled()
    const back = tab(other.session)
    await settled()
    expect(back.draft.text.value).toBe('of the second')
  })

  it('is gone on with in a tab that is opened later, and not shown again once it was sent there', async () => {
    const first = tab()
    await settled()
    first.draft.text.value = 'half a question'
    first.close()
    await settled()
    const second = tab()
    await settled()
    expect(second.draft.take().text).toBe('half a question')
    second.close()
    await settled()
    const third = tab()
    await settled()
    expect(third.draft.text.value).toBe('')
  })

  it('does not turn up in a tab that has emptied its own', async () => {
    const one = tab()
    await settled()
    const other = tab()
    await settled()
    other.draft.text.value = 'of the second'
    other.close()
    await settled()
    const own = one.key.value
    one.key.value = 'c'
    await settled()
    one.key.value = own
    await settled()
    expect(one.draft.text.value).toBe('')
  })

  it('goes on after what was kept, where somebody types before that is read', async () => {
    await new History().putDraft('c', 'half a ', [])
    const { draft } = tab({}, 'c')
    draft.text.value = 'question'
    await settled()
    expect(draft.text.value).toBe('half a question')
  })
})
