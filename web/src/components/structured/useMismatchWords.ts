import { useI18n } from 'vue-i18n'
import type { Mismatch } from '@/lib/structured/jsonSchema'

function shown(wanted: unknown): string {
  if (Array.isArray(wanted)) return wanted.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join(', ')
  return typeof wanted === 'string' ? wanted : (JSON.stringify(wanted) ?? '')
}

export function useMismatchWords(): (mismatch: Mismatch) => string {
  const { t, te } = useI18n()
  return ({ keyword, wanted }) => {
    const key = `structured.mismatch.${keyword}`
    return te(key) ? t(key, { wanted: shown(wanted) }) : `${keyword}: ${shown(wanted)}`
  }
}
