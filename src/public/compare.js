// The picture before and after, with a divider that is dragged or moved by the arrow keys.

const REVEAL_MS = 1100

const element = (id) => document.getElementById(id)

/** Wires the comparison once and answers what the page does with it. */
export function createCompare() {
  const root = element('compare')
  const before = element('before')
  const after = element('after')
  const { setSplit, setPan, setFull, pan } = createView(root)

  element('split').addEventListener('input', ({ target }) => setSplit(Number(target.value)))
  element('zoom-fit').addEventListener('click', () => setFull(false))
  element('zoom-full').addEventListener('click', () => setFull(true))
  root.addEventListener('keydown', (event) => panByKey(event, root, pan, setPan))
  listenToDrag(root, { pan, setPan, setSplit })

  const clear = () => {
    root.hidden = true
    root.classList.remove('has-after')
    for (const image of [before, after]) image.removeAttribute('src')
    after.hidden = true
    element('handle').hidden = true
    element('tag-after').hidden = true
    element('split').disabled = true
    setFull(false)
    setSplit(100)
  }
  return {
    clear,
    showBefore(url) {
      clear()
      before.src = url
      element('tag-before').hidden = false
      root.hidden = false
    },
    async showAfter(url) {
      after.src = url
      await after.decode()
      root.style.setProperty('--full-width', `${after.naturalWidth / devicePixelRatio}px`)
      root.style.setProperty('--full-height', `${after.naturalHeight / devicePixelRatio}px`)
      const comparable = before.getAttribute('src') !== null
      after.hidden = false
      element('tag-after').hidden = false
      element('tag-before').hidden = !comparable
      element('handle').hidden = !comparable
      element('split').disabled = !comparable
      root.classList.add('has-after')
      root.hidden = false
      if (comparable) reveal(root, setSplit)
      else setSplit(0)
    },
  }
}

/** Where the divider is and what is in view: all of the picture, or one pixel on one pixel. */
function createView(root) {
  const pan = { x: 0, y: 0 }
  const setSplit = (percent) => {
    const value = Math.min(100, Math.max(0, percent))
    element('split').value = String(Math.round(value))
    root.style.setProperty('--split', `${value}%`)
  }
  const setPan = (x, y) => {
    const box = root.getBoundingClientRect()
    const { naturalWidth, naturalHeight } = element('after')
    const slack = (pixels, room) => Math.max(0, (pixels / devicePixelRatio - room) / 2)
    pan.x = clamp(x, slack(naturalWidth, box.width))
    pan.y = clamp(y, slack(naturalHeight, box.height))
    root.style.setProperty('--pan-x', `${pan.x}px`)
    root.style.setProperty('--pan-y', `${pan.y}px`)
  }
  const setFull = (on) => {
    root.classList.toggle('is-full', on)
    element('zoom-fit').setAttribute('aria-pressed', String(!on))
    element('zoom-full').setAttribute('aria-pressed', String(on))
    setPan(0, 0)
  }
  return { pan, setSplit, setPan, setFull }
}

const clamp = (value, limit) => Math.min(limit, Math.max(-limit, value))

function panByKey(event, root, pan, setPan) {
  if (!root.classList.contains('is-full') || !event.shiftKey) return
  const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }
  const move = step[event.key]
  if (move === undefined) return
  event.preventDefault()
  setPan(pan.x + move[0], pan.y + move[1])
}

/** The divider follows the pointer; at 100% a drag beside the handle moves the picture. */
function listenToDrag(root, { pan, setPan, setSplit }) {
  root.addEventListener('pointerdown', (start) => {
    if (!root.classList.contains('has-after') || start.button !== 0) return
    const onHandle = start.target.closest('.handle') !== null
    const moves = root.classList.contains('is-full') && !onHandle
    if (start.pointerType === 'mouse') start.preventDefault()
    const origin = { ...pan }
    const box = root.getBoundingClientRect()
    const follow = (event) => {
      const dx = event.clientX - start.clientX
      if (moves) setPan(origin.x + dx, origin.y + event.clientY - start.clientY)
      else setSplit(((event.clientX - box.left) / box.width) * 100)
    }
    const stop = () => {
      root.removeEventListener('pointermove', follow)
      root.removeEventListener('pointerup', stop)
      root.removeEventListener('pointercancel', stop)
    }
    root.setPointerCapture(start.pointerId)
    root.addEventListener('pointermove', follow)
    root.addEventListener('pointerup', stop)
    root.addEventListener('pointercancel', stop)
    if (!moves) follow(start)
    document.getElementById('split').focus({ preventScroll: true })
  })
}

/** Sweeps the divider from the right edge to the middle, once, unless somebody takes it before. */
function reveal(root, setSplit) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return setSplit(50)
  const taken = new AbortController()
  const stop = () => taken.abort()
  for (const kind of ['pointerdown', 'keydown', 'input']) {
    root.addEventListener(kind, stop, { capture: true, signal: taken.signal })
  }
  const started = performance.now()
  const step = (now) => {
    if (taken.signal.aborted) return
    const t = Math.min(1, Math.max(0, (now - started) / REVEAL_MS))
    setSplit(100 - 50 * (1 - Math.pow(1 - t, 3)))
    if (t < 1) requestAnimationFrame(step)
    else stop()
  }
  requestAnimationFrame(step)
}
