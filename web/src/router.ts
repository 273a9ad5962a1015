import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

declare module 'vue-router' {
  interface RouteMeta {
    title?: string // key of its name in the locales
  }
}

const view = import.meta.glob('./views/*.vue')
const of = (name: string) => view[`./views/${name}.vue`] ?? (() => import('@/components/shell/NotFound.vue'))

export const routes: RouteRecordRaw[] = [
  { path: '/', name: 'home', component: of('ChatView'), meta: { title: 'shell.nav.chat' } },
  { path: '/chat/:id', name: 'chat', component: of('ChatView'), meta: { title: 'shell.nav.chat' } },
  { path: '/scenes', name: 'scenes', component: of('ScenesView'), meta: { title: 'shell.nav.scenes' } },
  { path: '/scenes/:name', name: 'scene', component: of('SceneView'), meta: { title: 'shell.nav.scenes' } },
  { path: '/compare', name: 'compare', component: of('CompareView'), meta: { title: 'shell.nav.compare' } },
  { path: '/structured', name: 'structured', component: of('StructuredView'), meta: { title: 'shell.nav.structured' } },
  { path: '/operator', name: 'operator', component: of('OperatorView'), meta: { title: 'shell.nav.operator' } },
  { path: '/:path(.*)*', name: 'not-found', component: () => import('@/components/shell/NotFound.vue'), meta: { title: 'shell.notFound.title' } },
]

export const router = createRouter({ history: createWebHistory(), routes })
