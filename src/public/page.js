// The page: picks a picture, submits one job, follows it, shows the result and what it cost.
// A job's id stands in the address, so that a reload takes up where the page was.

import * as api from './api.js'
import { createCompare } from './compare.js'
import { bytes } from './format.js'
import { command, leave, run, takeUp, toggleUnplugged } from './job.js'
import { describeSizes, listenToDrops, pick, UPLOAD_BYTES_MAX } from './picture.js'
import { clearNotice, element, show, showProblem, showPurse, state } from './stage.js'
import { requestLine } from './view.js'

const compare = createCompare()

function startOver() {
  leave()
  history.replaceState(null, '', location.pathname)
  compare.clear()
  clearNotice()
  element('file').value = ''
  element('go').disabled = true
  element('go').textContent = 'Upscale'
  element('sizes').textContent = 'Pick a picture to begin'
  show('empty')
}

const take = (file) => pick(file, { compare, startOver })

async function takeSample() {
  try {
    const response = await fetch('/photo.jpg')
    await take(new File([await response.blob()], 'photo.jpg', { type: 'image/jpeg' }))
  } catch {
    showProblem(api.problem('unreachable', 'The sample did not arrive.'))
  }
}

/** Shows the balance, which proves the session, and takes up the job that the address names. */
async function open() {
  try {
    showPurse(await api.weir.balance())
  } catch (problem) {
    return showProblem(problem)
  }
  element('key-form').hidden = true
  element('forget-key').hidden = !api.hasPastedKey()
  const named = location.hash.slice(1)
  if (named === '' || state.job !== null) return
  await takeUp(named, compare).catch((problem) => {
    startOver()
    showProblem(problem)
  })
}

function listenToButtons() {
  const onClick = (id, handler) => element(id).addEventListener('click', handler)
  document.querySelector('.skip').addEventListener('click', (event) => {
    // The address holds the job.
    event.preventDefault()
    element('stage').focus()
  })
  onClick('sample', () => void takeSample())
  onClick('go', () => void run(compare))
  onClick('other', startOver)
  onClick('again', startOver)
  onClick('unplug', () => toggleUnplugged(compare))
  onClick('retry', () => void command('retry'))
  onClick('cancel', () => {
    element('cancel').disabled = true
    void command('cancel')
  })
  onClick('forget-key', () => {
    api.forgetKey()
    location.assign('/')
  })
}

function listen() {
  element('limit').textContent = bytes(UPLOAD_BYTES_MAX)
  element('file').addEventListener('change', ({ target }) => {
    const [file] = target.files
    if (file !== undefined) void take(file)
  })
  for (const input of document.querySelectorAll('input[name=scale]')) {
    input.addEventListener('change', describeSizes)
  }
  element('key-form').addEventListener('submit', (event) => {
    event.preventDefault()
    api.useKey(element('key').value.trim())
    element('key').value = ''
    clearNotice()
    void open()
  })
  listenToButtons()
  listenToDrops(take)
}

api.onRequest((asked) => {
  element('request-list').append(requestLine(asked))
  element('request-count').textContent = String(element('request-list').children.length)
})
listen()
void open()
