import { onBeforeUnmount, ref, shallowRef } from 'vue'

type CameraTrouble = 'cameraRefused' | 'cameraNone' | 'cameraBusy' | 'cameraInsecure' | 'cameraFailed'

function troubleOf(error: unknown): CameraTrouble {
  const name = error instanceof Error || error instanceof DOMException ? error.name : ''
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'cameraRefused'
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'cameraNone'
  return name === 'NotReadableError' || name === 'AbortError' ? 'cameraBusy' : 'cameraFailed'
}

/** The camera of this machine, as long as the picture is looked for; it is off again with `stop` and with the component. */
export function useCamera() {
  const stream = shallowRef<MediaStream | null>(null)
  const trouble = ref<CameraTrouble | null>(null)
  let wanted = false

  async function start(): Promise<void> {
    stop()
    wanted = true
    trouble.value = null
    // Browsers offer cameras to secure pages only: https, or this machine itself.
    if (!navigator.mediaDevices?.getUserMedia) {
      trouble.value = 'cameraInsecure'
      return
    }
    try {
      const video = { facingMode: 'environment', width: { ideal: 2560 }, height: { ideal: 1440 } }
      const opened = await navigator.mediaDevices.getUserMedia({ video })
      if (wanted) stream.value = opened
      else opened.getTracks().forEach((track) => track.stop()) // closed while the browser was asking
    } catch (error) {
      trouble.value = troubleOf(error)
    }
  }

  function stop(): void {
    wanted = false
    stream.value?.getTracks().forEach((track) => track.stop())
    stream.value = null
  }

  onBeforeUnmount(stop)
  return { stream, trouble, start, stop }
}

/** What the camera shows now, as a file. */
export async function photograph(video: HTMLVideoElement): Promise<File | null> {
  const canvas = document.createElement('canvas')
  canvas.width = video.videoWidth
  canvas.height = video.videoHeight
  if (canvas.width === 0) return null
  canvas.getContext('2d')?.drawImage(video, 0, 0)
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.95))
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  return blob && new File([blob], `photo-${time}.jpg`, { type: 'image/jpeg' })
}
