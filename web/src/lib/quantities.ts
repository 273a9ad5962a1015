/** Numbers as they are read in passing: few digits, with their unit. A missing one is a dash. */

export type Unit = 'count' | 'percent' | 'seconds' | 'bytes' | 'perSecond' | 'cores'

const NONE = '–'
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function quantity(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE
  switch (unit) {
    case 'percent': return `${digits(100 * value)} %`
    case 'seconds': return duration(value)
    case 'bytes': return bytes(value)
    case 'perSecond': return `${digits(value)}/s`
    case 'cores': return digits(value)
    case 'count': return digits(value)
  }
}

/** Three digits that say something; whole numbers stay whole, thousands are parted. */
function digits(value: number): string {
  const size = Math.abs(value)
  if (Number.isInteger(value) || size >= 100) return Math.round(value).toLocaleString('en-US')
  return size >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function duration(seconds: number): string {
  if (seconds === 0) return '0 ms'
  if (seconds < 0.0995) return `${digits(1000 * seconds)} ms`
  if (seconds < 0.9995) return `${Math.round(1000 * seconds)} ms`
  if (seconds < 60) return `${digits(seconds)} s`
  const whole = Math.round(seconds)
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60]
  if (days > 0) return `${days} d ${hours} h`
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`
}

export function bytes(value: number): string {
  let size = value
  let unit = 0
  while (Math.abs(size) >= 1024 && unit < BYTE_UNITS.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${digits(unit === 0 ? Math.round(size) : size)} ${BYTE_UNITS[unit]}`
}
