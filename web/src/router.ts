import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

declare module 'vue-router' {
  interface RouteMeta {
    title?: string // key of its name in the locales
  }
}

// Lazily: whoever comes for the chat does not wait for the charts.
const chat = () => import('@/views/ChatView.vue')

export const routes: RouteRecordRaw[] = [
  { path: '/', name: 'home', component: chat, meta: { title: 'shell.nav.chat' } },
  { path: '/chat/:id', name: 'chat', component: chat, meta: { title: 'shell.nav.chat' } },
  { path: '/scenes', name: 'scenes', component: () => import('@/views/ScenesView.vue'), meta: { title: 'shell.nav.scenes' } },
  { path: '/scenes/:name', name: 'scene', component: () => import('@/views/SceneView.vue'), meta: { title: 'shell.nav.scenes' } },
  { path: '/compare', name: 'compare', component: () => import('@/views/CompareView.vue'), meta: { title: 'shell.nav.compare' } },
  { path: '/structured', name: 'structured', component: () => import('@/views/StructuredView.vue'), meta: { title: 'shell.nav.structured' } },
  { path: '/operator', name: 'operator', component: () => import('@/views/OperatorView.vue'), meta: { title: 'shell.nav.operator' } },
  { path: '/:path(.*)*', name: 'not-found', component: () => import('@/components/shell/NotFound.vue'), meta: { title: 'shell.notFound.title' } },
]

export const router = createRouter({ history: createWebHistory(), routes })
