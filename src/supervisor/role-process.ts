// The launcher's counterpart in the process of a role. Without a launcher (WEIR_ROLES set by hand,
// a container per role) all of it is harmless.

/**
 * Calls back, once, when the launcher has died: the role should then stop gracefully. The channel
 * to the launcher does not keep the process alive.
 */
export function onParentGone(callback: () => void): void {
  if (process.send === undefined) return
  if (!process.connected) return queueMicrotask(callback)
  process.once('disconnect', callback)
  process.channel?.unref()
}

/** Tells the launcher that this role serves. */
export function reportReady(): void {
  if (process.connected) process.send?.({ ready: true })
}

/**
 * Starts to listen to what the launcher says of all roles. `allRolesReady` then tells whether api,
 * worker and projector were all ready when last heard; without a launcher it is always true.
 */
export function followReadiness(): { allRolesReady(): boolean } {
  if (process.send === undefined) return { allRolesReady: () => true }
  let areAllReady = false
  process.on('message', (message) => {
    if (typeof message !== 'object' || message === null || !('allReady' in message)) return
    areAllReady = message.allReady === true
  })
  process.channel?.unref()
  return { allRolesReady: () => areAllReady }
}
