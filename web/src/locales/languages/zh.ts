/** Loaded when it is wanted. Every file of the folder above is an area and its name the first part of its keys. */
import type { Area } from '../messages'

export default import.meta.glob<Area>(['../*.ts', '!../index.ts', '!../messages.ts', '!../*.spec.ts'], {
  eager: true,
  query: { only: 'zh' }, // tools/plugins.ts leaves the other languages out
})
