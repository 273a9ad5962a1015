import { onScopeDispose, ref, watch, type Ref } from 'vue'

/** An address of a blob for `<img>`, given back when the blob changes or nobody looks any more. */
export function useBlobUrl(blob: () => Blob | undefined): Readonly<Ref<string | null>> {
  const url = ref<string | null>(null)
  const release = () => {
    if (url.value) URL.revokeObjectURL(url.value)
    url.value = null
  }
  watch(
    blob,
    (next) => {
      release()
      if (next) url.value = URL.createObjectURL(next)
    },
    { immediate: true },
  )
  onScopeDispose(release)
  return url
}
