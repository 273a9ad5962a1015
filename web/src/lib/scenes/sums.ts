/** Do the amounts add up? In decimals, not in floating point: 0.1 + 0.2 is 0.3 on a receipt. */

interface Decimal {
  digits: bigint
  places: number
}

function decimalOf(text: string): Decimal | undefined {
  const found = /^\s*([+-]?)(\d+)(?:\.(\d+))?\s*$/.exec(text)
  if (!found) return undefined
  const [, sign, whole, part = ''] = found
  const digits = BigInt(`${whole}${part}`)
  return { digits: sign === '-' ? -digits : digits, places: part.length }
}

function decimalText({ digits, places }: Decimal): string {
  const shown = (digits < 0n ? -digits : digits).toString().padStart(places + 1, '0')
  const cut = shown.length - places
  return `${digits < 0n ? '-' : ''}${shown.slice(0, cut)}${places ? `.${shown.slice(cut)}` : ''}`
}

const scaled = (one: Decimal, places: number) => one.digits * 10n ** BigInt(places - one.places)

/** The sum of texts such as "4.20"; those that are no numbers are left out. */
export function sumOf(texts: string[]): string {
  const numbers = texts.flatMap((text) => decimalOf(text) ?? [])
  const places = Math.max(0, ...numbers.map((one) => one.places))
  return decimalText({ digits: numbers.reduce((sum, one) => sum + scaled(one, places), 0n), places })
}

export function difference(a: string, b: string): string {
  const minus = decimalOf(b)
  return minus ? sumOf([a, decimalText({ ...minus, digits: -minus.digits })]) : a
}

export const sameAmount = (a: string, b: string) => {
  const gap = decimalOf(difference(a, b))
  return decimalOf(a) !== undefined && decimalOf(b) !== undefined && gap?.digits === 0n
}

export type SumState = 'agrees' | 'differs' | 'unknown'

export interface SumCheck {
  state: SumState // unknown: there is no total, or nothing before it
  counted: number[] // positions of the amounts that were added
  sum: string
  gap: string // sum minus total
}

/** Which amounts make up the total? The run that ends just before the total and adds up to it, the longest such; else, of a
 * total that is not among the amounts, all of them. Paid and change come after the total, a sub-total before tax is covered
 * by the run that begins with it. Where no run fits, all before the total are counted, and do not agree. */
export function countedFor(amounts: string[], total: string | null): number[] {
  if (total === null) return amounts.map((_, at) => at)
  const places = amounts.flatMap((amount, at) => (sameAmount(amount, total) ? [at] : []))
  for (const end of [...places, amounts.length]) {
    // One amount alone proves nothing (a sub-total printed again), unless it is all that there is before the total.
    for (let start = 0; start < Math.max(1, end - 1); start++) {
      if (start < end && sameAmount(sumOf(amounts.slice(start, end)), total)) return range(start, end)
    }
  }
  const first = places[0]
  return range(0, first === undefined || first === 0 ? amounts.length : first)
}

export function checkSum(amounts: string[], total: string | null, counted = countedFor(amounts, total)): SumCheck {
  const sum = sumOf(counted.map((at) => amounts[at] ?? ''))
  if (total === null || decimalOf(total) === undefined || !counted.length) return { state: 'unknown', counted, sum, gap: '0' }
  const gap = difference(sum, total)
  return { state: sameAmount(sum, total) ? 'agrees' : 'differs', counted, sum, gap }
}

const range = (start: number, end: number) => Array.from({ length: end - start }, (_, at) => start + at)
