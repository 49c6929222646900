// Live updates of one job, with exact resume: the revision last seen is all the memory it needs.

import { token } from './api.js'

const CLIENT = '/v1/socket/socket.io.esm.min.js'

/**
 * Follows a job until `close()`.
 *
 * `onEvents(events, { resumedAfter })` gets every transition once and in order: from the answer to
 * the subscription (after a lost connection `resumedAfter` is the revision it went on from) and
 * live. `onProgress({ progress })` is a signal and may be lost. `onLine('live' | 'lost' |
 * 'unplugged')` says how the connection is. `onRefused(code)` ends it.
 */
export async function follow(jobId, after, { onEvents, onProgress, onLine, onRefused }) {
  const { io } = await import(CLIENT)
  const channel = `job:${jobId}`
  let last = after
  let connections = 0
  let unplugged = false
  const socket = io({
    path: '/v1/socket',
    transports: ['websocket', 'polling'],
    tryAllTransports: true,
    reconnectionDelay: 300,
    reconnectionDelayMax: 2000,
    auth: (give) =>
      token()
        .then((value) => give({ token: value }))
        .catch(() => give({})),
  })

  const accept = (events, resumedAfter = null) => {
    const fresh = events.filter((event) => event.revision > last)
    if (fresh.length > 0) last = fresh.at(-1).revision
    if (fresh.length > 0 || resumedAfter !== null) onEvents(fresh, { resumedAfter })
  }
  const subscribe = () => {
    const from = last
    const resumed = connections++ > 0
    socket.timeout(5000).emit('subscribe', { channel, after: from }, (lost, answer) => {
      if (lost) return socket.disconnect().connect()
      if (!answer.ok) return onRefused(answer.code)
      onLine('live')
      if (answer.recovered) accept(answer.events, resumed ? from : null)
      else accept([{ revision: answer.job.revision, type: null, at: null, job: answer.job }])
    })
  }

  socket.on('connect', subscribe)
  socket.on('update', (event) => {
    if (event.channel !== channel) return
    if (event.revision > last + 1) return subscribe()
    accept([event])
  })
  socket.on('progress', (signal) => signal.channel === channel && onProgress(signal))
  socket.on('connect_error', (error) => {
    onLine('lost')
    if (error.data?.code) onRefused(error.data.code)
  })
  socket.on('disconnect', (reason) => {
    onLine(unplugged ? 'unplugged' : 'lost')
    if (reason === 'io server disconnect') socket.connect()
  })

  return {
    /** Cuts the connection on purpose, and takes it up again. */
    unplug(value) {
      unplugged = value
      if (value) socket.disconnect()
      else socket.connect()
    },
    close: () => socket.off('disconnect').disconnect(),
  }
}
