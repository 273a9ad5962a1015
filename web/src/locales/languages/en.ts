/** English is in the first load: it also stands in for words of a language that have not come. Every file of the folder above is an area and its name the first part of its keys. */
import type { Area } from '../messages'

export default import.meta.glob<Area>(['../*.ts', '!../index.ts', '!../messages.ts', '!../*.spec.ts'], {
  eager: true,
  query: { only: 'en' }, // tools/plugins.ts leaves the other languages out
})
