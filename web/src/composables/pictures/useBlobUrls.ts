/** Addresses of Blobs for <img>, given back to the browser when the component goes. */
import { onScopeDispose } from 'vue'

export function useBlobUrls(): (blob: Blob) => string {
  const urls = new Map<Blob, string>()
  onScopeDispose(() => urls.forEach((url) => URL.revokeObjectURL(url)))
  return (blob) => {
    let url = urls.get(blob)
    if (url === undefined) urls.set(blob, (url = URL.createObjectURL(blob)))
    return url
  }
}
