export interface Place {
  id: 'chat' | 'scenes' | 'compare' | 'structured' | 'operator'
  path: string
  routes: readonly string[] // names of the routes that belong to it
}

/** The pages of the navigation, in its order. */
export const places: readonly Place[] = [
  { id: 'chat', path: '/', routes: ['home', 'chat'] },
  { id: 'scenes', path: '/scenes', routes: ['scenes', 'scene'] },
  { id: 'compare', path: '/compare', routes: ['compare'] },
  { id: 'structured', path: '/structured', routes: ['structured'] },
  { id: 'operator', path: '/operator', routes: ['operator'] },
]
