/** uPlot as our charts use it. The library and its style sheet come with the first chart, not with the page. */
import type uPlot from 'uplot'
import { quantity, type Unit } from '@/lib/quantities'
import type { Line } from './charts'

export async function loadPlot(): Promise<typeof uPlot> {
  const [module] = await Promise.all([import('uplot'), import('uplot/dist/uPlot.min.css')])
  return module.default
}

export interface Look {
  width: number
  height: number
  unit: Unit
  lines: readonly Line[]
  minutes: () => number
  onCursor: (index: number | null) => void
}

/** Colours are read from the tokens when the plot is made: a canvas knows no variables. */
export function plotOptions(element: HTMLElement, { width, height, unit, lines, minutes, onCursor }: Look): uPlot.Options {
  const style = getComputedStyle(element)
  const token = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const axis = { stroke: token('muted'), grid: { stroke: token('line'), width: 1 }, ticks: { show: false }, font: `11px ${style.fontFamily}` }
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: 'operator' }, drag: { x: false, y: false }, points: { size: 6 }, y: false },
    scales: {
      x: { range: (_, __, newest) => [newest - 60 * minutes(), newest] },
      y: { range: (_, __, most) => [0, unit === 'percent' ? 1 : room(most, unit)] },
    },
    axes: [
      { ...axis, size: 24, space: 54, values: (_, times) => times.map(clock) },
      { ...axis, size: 62, space: 34, ...(unit === 'bytes' && { incrs: POWERS }), values: (_, values) => values.map((value) => quantity(value, unit)) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        stroke: token(line.tone),
        width: 1.75,
        dash: line.dashed ? [5, 4] : undefined,
        points: { show: false },
      })),
    ],
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)] },
  }
}

const POWERS = Array.from({ length: 41 }, (_, power) => 2 ** power) // steps that are round in KiB and MiB

/** Some air above the highest line; a line of zeros lies at the bottom, not in the middle. */
function room(most: number | null, unit: Unit): number {
  const least = LEAST[unit] ?? 1
  const air = 1.15 * (most ?? 0)
  return Math.max(least, unit === 'count' ? Math.ceil(air) : air)
}

/** A smaller scale would make a mountain of nothing. */
const LEAST: Partial<Record<Unit, number>> = { count: 2, seconds: 0.05, bytes: 1 << 20, cores: 0.1 }

function clock(seconds: number): string {
  return new Date(1000 * seconds).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false })
}
