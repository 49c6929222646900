// What every part of the page shares: the state, the phase the stage is in, and how it speaks.
//
//   empty → ready → running → done        (done → empty by "Another picture")

import { credits } from './format.js'
import { problemNotice } from './view.js'

export const element = (id) => document.getElementById(id)

/** `before` and `held` are micro-credits; `start` is the first event's time in milliseconds. */
export const state = {
  file: null,
  job: null,
  held: null,
  before: null,
  start: 0,
  /** The last revision that was shown. */
  seen: -1,
  /** Ends the watch that is going on. */
  watching: null,
  lostAt: 0,
}

/** The factor that is chosen: 2, 3 or 4. */
export const scale = () => Number(document.querySelector('input[name=scale]:checked').value)

/** Tells those who listen to the page rather than see it. */
export function say(text) {
  element('announcer').textContent = text
}

export function show(phase) {
  element('stage').dataset.phase = phase
  element('panel-choose').hidden = phase === 'running' || phase === 'done'
  element('panel-run').hidden = phase !== 'running'
  element('panel-done').hidden = phase !== 'done'
  element('water').hidden = phase !== 'running'
  element('drop').hidden = phase !== 'empty'
  element('other').hidden = phase !== 'ready'
}

export function setProgress(percent, status) {
  element('track').setAttribute('aria-valuenow', String(percent))
  element('stage').style.setProperty('--progress', String(percent))
  element('run-percent').textContent = `${percent}%`
  element('run-status').textContent = status
}

export function showPurse(balance) {
  element('purse').hidden = false
  element('purse-amount').textContent = credits(balance.available)
}

export function clearNotice() {
  element('notice').hidden = true
}

/** Shows a problem where the eye is; a missing session opens the form for a key instead. */
export function showProblem({ code, message, problem: body }) {
  if (code === 'no_session' || code === 'unauthenticated') element('key-form').hidden = false
  if (code === 'no_session') return
  element('notice').replaceChildren(...problemNotice({ code, message, body }))
  element('notice').hidden = false
  element('notice').scrollIntoView({ block: 'nearest', behavior: 'smooth' })
}
