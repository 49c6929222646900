// The picture before and after, with a divider that is dragged or moved by the arrow keys.

const REVEAL_MS = 1100

const element = (id) => document.getElementById(id)

/** Wires the comparison once and answers what the page does with it. */
export function createCompare() {
  const root = element('compare')
  const before = element('before')
  const after = element('after')
  const split = element('split')
  const pan = { x: 0, y: 0 }
  let full = { width: 0, height: 0 }

  const setSplit = (percent) => {
    const value = Math.min(100, Math.max(0, percent))
    split.value = String(Math.round(value))
    root.style.setProperty('--split', `${value}%`)
  }
  const setPan = (x, y) => {
    const box = root.getBoundingClientRect()
    const slack = (picture, room) => Math.max(0, (picture - room) / 2)
    pan.x = clamp(x, slack(full.width, box.width))
    pan.y = clamp(y, slack(full.height, box.height))
    root.style.setProperty('--pan-x', `${pan.x}px`)
    root.style.setProperty('--pan-y', `${pan.y}px`)
  }
  const setFull = (on) => {
    root.classList.toggle('is-full', on)
    element('zoom-fit').setAttribute('aria-pressed', String(!on))
    element('zoom-full').setAttribute('aria-pressed', String(on))
    setPan(0, 0)
  }

  split.addEventListener('input', () => setSplit(Number(split.value)))
  element('zoom-fit').addEventListener('click', () => setFull(false))
  element('zoom-full').addEventListener('click', () => setFull(true))
  root.addEventListener('keydown', (event) => panByKey(event, root, pan, setPan))
  listenToDrag(root, { pan, setPan, setSplit })

  return {
    showBefore(url) {
      before.src = url
      element('tag-before').hidden = false
      after.hidden = true
      after.removeAttribute('src')
      element('handle').hidden = true
      element('tag-after').hidden = true
      split.disabled = true
      root.classList.remove('has-after')
      root.hidden = false
      setFull(false)
      setSplit(100)
    },
    async showAfter(url) {
      after.src = url
      await after.decode()
      full = sizeOnScreen(after)
      root.style.setProperty('--full-width', `${full.width}px`)
      root.style.setProperty('--full-height', `${full.height}px`)
      after.hidden = false
      element('tag-after').hidden = false
      const comparable = before.getAttribute('src') !== null
      element('handle').hidden = !comparable
      element('tag-before').hidden = !comparable
      split.disabled = !comparable
      root.classList.add('has-after')
      root.hidden = false
      if (comparable) reveal(setSplit)
      else setSplit(0)
    },
    clear() {
      root.hidden = true
      before.removeAttribute('src')
      after.removeAttribute('src')
      after.hidden = true
      root.classList.remove('has-after')
      setFull(false)
    },
  }
}

const clamp = (value, limit) => Math.min(limit, Math.max(-limit, value))

/** One pixel of the result on one pixel of the screen. */
const sizeOnScreen = (image) => ({
  width: image.naturalWidth / devicePixelRatio,
  height: image.naturalHeight / devicePixelRatio,
})

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

/** Sweeps the divider from the right edge to the middle, once. */
function reveal(setSplit) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return setSplit(50)
  const started = performance.now()
  const step = (now) => {
    const t = Math.min(1, (now - started) / REVEAL_MS)
    setSplit(100 - 50 * (1 - Math.pow(1 - t, 3)))
    if (t < 1) requestAnimationFrame(step)
  }
  requestAnimationFrame(step)
}
