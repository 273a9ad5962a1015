import { useI18n } from 'vue-i18n'
import type { SchemaProblem } from '@/lib/structured/schemaProblems'

export function useProblemWords(): (problem: SchemaProblem) => string {
  const { t } = useI18n()
  return (problem) => {
    if (problem.kind === 'json') {
      const reason = t(`structured.json.${problem.code}`)
      return t('structured.text.at', { line: problem.line, column: problem.column, reason })
    }
    const path = problem.path.join(' › ') || t('structured.text.root')
    return t('structured.text.in', { path, reason: t(`structured.problem.${problem.code}`, { word: problem.word }) })
  }
}
