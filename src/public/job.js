// One job, from its submission to its bill.

import { weir } from './api.js'
import { bytes, duration, size } from './format.js'
import { recall, remember, showSource } from './picture.js'
import {
  clearNotice,
  element,
  say,
  scale,
  setProgress,
  show,
  showProblem,
  showPurse,
  state,
} from './stage.js'
import { eventLine, make, receipt } from './view.js'

const SETTLE_POLLS_MAX = 12
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1)
const ENDED = ['succeeded', 'failed', 'canceled', 'expired']
const STATUS = { queued: 'Queued', running: 'Running', succeeded: 'Done' }
const ENDINGS = { failed: 'failed', canceled: 'was canceled', expired: 'expired' }

let timer = 0
let resultUrl = null

/** Submits the picture that is chosen and follows its job. */
export async function run(compare) {
  clearNotice()
  // There is nothing to cancel before there is a job.
  element('cancel').disabled = true
  show('running')
  setProgress(0, 'Uploading')
  tick(performance.now())
  try {
    state.before = (await weir.balance()).posted
    const image = await weir.upload(state.file, state.file.type)
    setProgress(0, 'Submitting')
    const input = { image, scale: scale() }
    const job = await weir.submit({ type: 'image.upscale', input, userId: 'page' })
    state.held = job.credits.held
    history.replaceState(null, '', `#${job.jobId}`)
    await remember(job.jobId).catch(() => {})
    watch(job, compare)
  } catch (problem) {
    clearInterval(timer)
    show('ready')
    showProblem(problem)
  }
}

/** Takes up a job after a reload: everything it went through comes in again, in order. */
export async function takeUp(jobId, compare) {
  const job = await weir.job(jobId)
  Object.assign(state, await recall(jobId))
  if (state.file !== null) await showSource(state.file, compare)
  show('running')
  setProgress(job.progress, 'Catching up')
  tick(performance.now())
  watch(job, compare)
}

/** Lets go of the job; it goes on without the page. */
export function leave() {
  clearInterval(timer)
  state.watching?.abort()
  Object.assign(state, { file: null, job: null, held: null, before: null, seen: -1, start: 0 })
  Object.assign(state, { watching: null, lostAt: 0 })
  for (const part of ['resumed', 'wire', 'unplug']) element(part).hidden = true
  element('unplug').textContent = 'Unplug'
  element('cost-state').textContent = ''
  element('timeline').replaceChildren()
  for (const part of ['timeline', 'receipt']) {
    element(part).hidden = true
    element(`${part}-empty`).hidden = false
  }
}

/** `cancel` or `retry`. */
export async function command(name) {
  clearNotice()
  await weir[name](state.job.jobId).catch((problem) => {
    element('cancel').disabled = false
    showProblem(problem)
  })
}

function watch(job, compare) {
  state.job = job
  element('cancel').disabled = false
  if (state.held !== null) showBill({ charged: '0', after: null, usage: [], settled: false })
  void follow(job.jobId, compare).catch(showProblem)
}

/** Shows every transition, each once and in order; a retry makes new ones after the end. */
async function follow(jobId, compare) {
  const watching = new AbortController()
  const { signal } = watching
  state.watching = watching
  const events = weir.watch(jobId, {
    ...{ after: state.seen, signal, isEndless: true },
    onProgress: ({ progress, message }) => {
      if (state.job?.status === 'running')
        setProgress(progress, sentence(message ?? STATUS.running))
    },
    onConnection: ({ state: line, after, missed }) => {
      showLine(line)
      if (line === 'live' && state.lostAt > 0) showResumed(after, missed)
    },
  })
  try {
    for await (const event of events) {
      state.seen = event.revision
      take(event, compare)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** One transition: into the timeline, into the bar, and at the end to the result. */
function take({ revision, type, at, job }, compare) {
  state.job = job
  state.start ||= Date.parse(at)
  element('timeline').append(eventLine({ revision, type, at, job }, state.start, state.held))
  element('timeline').hidden = false
  element('timeline-empty').hidden = true
  say(type.replaceAll(/[._]/g, ' '))
  setProgress(job.progress, STATUS[job.status] ?? job.status)
  if (ENDED.includes(job.status)) return void end(job, compare).catch(showProblem)
  if (element('stage').dataset.phase !== 'done') return
  show('running')
  element('cancel').disabled = false
  tick(performance.now())
}

async function end(job, compare) {
  clearInterval(timer)
  await Promise.all([finish(job, compare), settle(job)])
}

function tick(started) {
  clearInterval(timer)
  const write = () => {
    element('run-time').textContent = duration(performance.now() - started)
  }
  write()
  timer = setInterval(write, 100)
}

async function finish(job, compare) {
  const succeeded = job.status === 'succeeded'
  element('panel-done').dataset.end = job.status
  element('retry').hidden = succeeded
  element('download').hidden = !succeeded
  element('zoom').hidden = !succeeded
  if (!succeeded) {
    const why = job.error?.message ?? 'What was held and not used came back.'
    const ending = make('b', {}, `The job ${ENDINGS[job.status]}. `)
    element('done-line').replaceChildren(ending, why)
    return show('done')
  }
  const { data, contentType } = await weir.result(job.jobId)
  const picture = new Blob([data], { type: contentType })
  if (resultUrl !== null) URL.revokeObjectURL(resultUrl)
  resultUrl = URL.createObjectURL(picture)
  await compare.showAfter(resultUrl)
  const { naturalWidth, naturalHeight } = element('after')
  const measured = size(naturalWidth, naturalHeight)
  const took = duration(Date.parse(job.finishedAt) - Date.parse(job.createdAt))
  element('size-after').textContent = measured
  element('done-line').replaceChildren(
    make('b', {}, measured),
    `, ${bytes(picture.size)}, in ${took}`,
  )
  element('download').href = resultUrl
  element('download').download = downloadName(job, naturalWidth)
  show('done')
  say('The larger picture is here. The arrow keys move the divider between before and after.')
}

/** photo.jpg becomes photo-4x.jpg. */
function downloadName(job, width) {
  const name = (state.file?.name ?? 'picture').replace(/\.[a-z]+$/i, '')
  const before = element('before').naturalWidth
  const factor = before > 0 ? `-${Math.round(width / before)}x` : ''
  return `${name}${factor}.${job.result.contentType.split('/')[1].replace('jpeg', 'jpg')}`
}

function showBill({ charged, after, usage, settled }) {
  const { held, before } = state
  const bill = receipt({ held, before, charged, after, usage, settled })
  element('receipt').replaceChildren(...bill)
  element('receipt').hidden = false
  element('receipt-empty').hidden = true
  element('cost-state').textContent = settled ? 'Settled' : 'Not settled yet'
}

/** Shows the bill once the read models agree with the job: they may lag by a moment. */
async function settle(job) {
  for (let poll = 1; poll <= SETTLE_POLLS_MAX; poll++) {
    const [now, usage, balance] = await Promise.all([
      weir.job(job.jobId),
      Array.fromAsync(weir.usage({ jobId: job.jobId })),
      weir.balance(),
    ])
    if (state.job?.jobId !== job.jobId) return
    const { held, charged } = now.credits
    const metered = usage.reduce((sum, row) => sum + BigInt(row.chargedMicro), 0n)
    const expected = state.before === null ? null : BigInt(state.before) - metered
    const down = expected === null || expected === BigInt(balance.posted)
    const agree = held === '0' && balance.held === '0' && metered === BigInt(charged) && down
    const settled = agree || (poll === SETTLE_POLLS_MAX && held === '0')
    const after = settled && state.before !== null ? balance.posted : null
    showPurse(balance)
    showBill({ charged, after, usage, settled })
    if (settled) return
    await new Promise((resume) => setTimeout(resume, 100 * poll))
  }
}

/** How the connection is, in the head of the timeline. */
function showLine(how) {
  const texts = { live: 'Live', lost: 'Reconnecting…', unplugged: 'Unplugged' }
  element('wire').hidden = false
  element('wire').dataset.state = how
  element('wire-text').textContent = texts[how]
  element('unplug').hidden = how === 'lost'
  if (how === 'live') return
  state.lostAt ||= performance.now()
  const told = how === 'lost' ? 'Connection lost.' : 'Unplugged.'
  element('resumed').hidden = false
  element('resumed').dataset.tone = 'warn'
  element('resumed').textContent = `${told} The job goes on, and no event will be missing.`
}

function showResumed(after, count) {
  const away = duration(performance.now() - state.lostAt)
  state.lostAt = 0
  const missed = [`nothing happened meanwhile`, `1 event came in after the fact`][count]
  const told = missed ?? `${count} events came in after the fact, in order`
  element('resumed').hidden = false
  element('resumed').dataset.tone = 'good'
  const from = after < 0 ? 'from the start' : `after #${after}`
  element('resumed').textContent = `Back after ${away}. Resumed ${from}: ${told}.`
}

/** Cuts the connection on purpose, to see the resume. */
export function toggleUnplugged(compare) {
  const isUnplugged = !state.watching.signal.aborted
  element('unplug').textContent = isUnplugged ? 'Plug in' : 'Unplug'
  element('unplug').setAttribute('aria-pressed', String(isUnplugged))
  if (!isUnplugged) return void follow(state.job.jobId, compare).catch(showProblem)
  state.watching.abort()
  showLine('unplugged')
}
