import type { IconName } from '@/components/ui/index'

export interface Place {
  id: 'chat' | 'scenes' | 'compare' | 'structured' | 'operator'
  path: string
  icon: IconName
  routes: readonly string[] // names of the routes that belong to it
}

/** The pages of the navigation, in its order. */
export const places: readonly Place[] = [
  { id: 'chat', path: '/', icon: 'chat', routes: ['home', 'chat'] },
  { id: 'scenes', path: '/scenes', icon: 'scenes', routes: ['scenes', 'scene'] },
  { id: 'compare', path: '/compare', icon: 'compare', routes: ['compare'] },
  { id: 'structured', path: '/structured', icon: 'table', routes: ['structured'] },
  { id: 'operator', path: '/operator', icon: 'chart', routes: ['operator'] },
]
