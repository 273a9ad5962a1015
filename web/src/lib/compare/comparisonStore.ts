/** Comparisons kept in this browser, pictures and all, in a database of their own. */

import Dexie, { type EntityTable } from 'dexie'
import type { Comparison } from './comparison'
import { withoutPassword } from '@/lib/history/secrets'

const MOST = 30 // pictures take room; the oldest makes place

class ComparisonDatabase extends Dexie {
  comparisons!: EntityTable<Comparison, 'id'>

  constructor() {
    super('flashweb-comparisons')
    this.version(1).stores({ comparisons: 'id, createdAt' })
  }
}

const database = new ComparisonDatabase()

export async function keptComparisons(): Promise<Comparison[]> {
  return database.comparisons.orderBy('createdAt').reverse().toArray()
}

export async function keepComparison(comparison: Comparison): Promise<void> {
  await database.transaction('rw', database.comparisons, async () => {
    await database.comparisons.put({ ...comparison, pictures: comparison.pictures.map(withoutPassword) })
    const old = await database.comparisons.orderBy('createdAt').reverse().offset(MOST).primaryKeys()
    await database.comparisons.bulkDelete(old)
  })
}

export async function forgetComparison(id: string): Promise<void> {
  await database.comparisons.delete(id)
}
