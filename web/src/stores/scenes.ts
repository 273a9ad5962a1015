import { defineStore } from 'pinia'
import { ref } from 'vue'
import { ApiError } from '@/api/http'
import { listScenes } from '@/api/scenes'
import type { Scene } from '@/lib/scenes/scenes'
import type { Failure } from '@/types'

/** What the server offers. Asked for anew whenever a page of scenes is opened: own scenes appear while it runs. */
export const useScenes = defineStore('scenes', () => {
  const scenes = ref<Scene[]>([])
  const broken = ref<{ file: string; message: string }[]>([])
  const failure = ref<Failure>()
  const loading = ref(false)

  async function load(): Promise<void> {
    loading.value = true
    try {
      const listed = await listScenes()
      scenes.value = listed.scenes
      broken.value = listed.errors
      failure.value = undefined
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      failure.value = error.failure
    } finally {
      loading.value = false
    }
  }

  const find = (name: string) => scenes.value.find((scene) => scene.name === name)

  return { scenes, broken, failure, loading, load, find }
})
