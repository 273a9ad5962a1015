/** Calls `work` once a frame at most, however often it is asked for. A hidden tab has no frames: there a timer does it. */
export function framePacer(work: () => void, hiddenMs = 250) {
  let frame = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function run(): void {
    cancel()
    work()
  }

  function cancel(): void {
    cancelAnimationFrame(frame)
    clearTimeout(timer)
    frame = 0
    timer = undefined
  }

  function ask(): void {
    if (timer !== undefined) return
    frame = requestAnimationFrame(run)
    timer = setTimeout(run, hiddenMs)
  }

  return { ask, cancel }
}
