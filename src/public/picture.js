// The picture that is chosen: dropped, pasted, picked or the sample.

import { problem } from './api.js'
import { bytes, size } from './format.js'
import { clearNotice, element, say, scale, show, showProblem, state } from './stage.js'
import { make } from './view.js'

// What image.upscale takes. The server decides; the page says so before anything is uploaded.
export const UPLOAD_BYTES_MAX = 20_000_000
const INPUT_PIXELS_MAX = 24_000_000
const OUTPUT_PIXELS_MAX = 100_000_000
const TYPES = ['image/png', 'image/jpeg', 'image/webp']
const CACHE = 'weir-page'
/** Pictures that are kept for a reload: each tab may have one. */
const KEPT_MAX = 8

let sourceUrl = null

const refuse = (code, detail) => showProblem(problem(code, detail))

/** Why a file is not taken, or null. Said before a byte is uploaded. */
function objection(file) {
  if (!TYPES.includes(file.type)) {
    const type = file.type || 'of an unknown type'
    return ['wrong_type', `weir upscales PNG, JPEG and WebP; “${file.name}” is ${type}.`]
  }
  if (file.size > UPLOAD_BYTES_MAX) {
    const sizes = `is ${bytes(file.size)}; the most is ${bytes(UPLOAD_BYTES_MAX)}`
    return ['too_large', `“${file.name}” ${sizes}. Nothing was uploaded.`]
  }
  return null
}

/** Shows the picture as the one before. Answers whether this browser can open it. */
export async function showSource(blob, compare) {
  if (sourceUrl !== null) URL.revokeObjectURL(sourceUrl)
  sourceUrl = URL.createObjectURL(blob)
  compare.showBefore(sourceUrl)
  const image = element('before')
  const opened = await image.decode().then(
    () => true,
    () => false,
  )
  element('size-before').textContent = size(image.naturalWidth, image.naturalHeight)
  return opened
}

/** The size before and after at the chosen scale, and whether that is within the limit. */
export function describeSizes() {
  if (state.file === null) return
  const { naturalWidth: width, naturalHeight: height } = element('before')
  const factor = scale()
  const fits = width * factor * height * factor <= OUTPUT_PIXELS_MAX
  element('sizes').replaceChildren(
    `${size(width, height)} → `,
    make('b', {}, size(width * factor, height * factor)),
    fits ? '' : ` is more than ${OUTPUT_PIXELS_MAX / 1e6} megapixels: choose a smaller scale`,
  )
  element('go').disabled = !fits
  element('go').textContent = `Upscale ×${factor}`
}

/** Takes a file as the picture to upscale, or says why not. */
export async function pick(file, { compare, startOver }) {
  if (element('stage').dataset.phase === 'running') return
  clearNotice()
  const why = objection(file)
  if (why !== null) return refuse(...why)
  startOver()
  state.file = file
  if (!(await showSource(file, compare))) {
    startOver()
    return refuse('unreadable', `“${file.name}” is not a picture that this browser can open.`)
  }
  const { naturalWidth, naturalHeight } = element('before')
  const pixels = naturalWidth * naturalHeight
  if (pixels > INPUT_PIXELS_MAX) {
    startOver()
    const [is, most] = [(pixels / 1e6).toFixed(1), INPUT_PIXELS_MAX / 1e6]
    return refuse('too_large', `“${file.name}” has ${is} megapixels; the most is ${most}.`)
  }
  show('ready')
  describeSizes()
  say(`${file.name} is ready`)
}

/** Keeps what a reload needs: the picture before, what was held, and the balance before. */
export async function remember(jobId) {
  const { held, before, file } = state
  sessionStorage.setItem('weir.job', JSON.stringify({ jobId, held, before }))
  const cache = await caches.open(CACHE)
  const kept = await cache.keys()
  const old = kept.slice(0, Math.max(0, kept.length + 1 - KEPT_MAX))
  await Promise.all(old.map((request) => cache.delete(request)))
  const named = { 'content-type': file.type, 'x-name': encodeURIComponent(file.name) }
  await cache.put(`/source/${jobId}`, new Response(file, { headers: named }))
}

/** What was kept of a job: { held, before, file }, each null when it is gone. */
export async function recall(jobId) {
  const kept = JSON.parse(sessionStorage.getItem('weir.job') ?? '{}')
  const { held = null, before = null } = kept.jobId === jobId ? kept : {}
  const cache = await caches.open(CACHE).catch(() => null)
  const source = await cache?.match(`/source/${jobId}`)
  if (source === undefined) return { held, before, file: null }
  const name = decodeURIComponent(source.headers.get('x-name'))
  const type = source.headers.get('content-type')
  return { held, before, file: new File([await source.blob()], name, { type }) }
}

/** Drops anywhere on the page, and pastes. */
export function listenToDrops(take) {
  let depth = 0
  const veil = (up) => element('veil').classList.toggle('is-up', up)
  addEventListener('dragenter', () => veil(++depth > 0))
  addEventListener('dragleave', () => veil(--depth > 0))
  addEventListener('dragover', (event) => event.preventDefault())
  addEventListener('drop', (event) => {
    event.preventDefault()
    depth = 0
    veil(false)
    const [file] = event.dataTransfer.files
    if (file !== undefined) void take(file)
  })
  addEventListener('paste', (event) => {
    const [file] = event.clipboardData.files
    if (file !== undefined) void take(file)
  })
}
