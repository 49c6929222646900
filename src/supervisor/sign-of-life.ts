import { closeSync, openSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'

// Containers that share a folder do not see each other's processes, and in each of them weir may
// be process 1. A socket in the folder is heard by all of them: the kernel answers for who listens,
// also while that stands still, and no longer once it has ended. Only Linux has such containers.

/** Listens in the folder until the returned function is called, or this process ends. */
export async function giveSign(folder: string, identity: string): Promise<() => void> {
  if (process.platform !== 'linux') return () => undefined
  const fd = openSync(folder, 'r')
  const server = createServer((socket) => socket.destroy()).unref()
  await new Promise<void>((resolve) => {
    // Some network folders have no sockets: then only processes of the same machine are seen.
    server.on('error', () => resolve())
    server.listen(pathBelow(fd, identity), resolve)
  })
  return () => {
    server.close()
    forgetSign(folder, identity)
    closeSync(fd)
  }
}

/** Whether who has this identity listens in the folder. */
export async function givesSign(folder: string, identity: string): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const fd = openSync(folder, 'r')
  try {
    return await new Promise<boolean>((resolve) => {
      const socket = connect(pathBelow(fd, identity))
      // Of one that stands still so many may have asked that no more of them fit.
      socket.once('error', (error) => resolve('code' in error && error.code === 'EAGAIN'))
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
    })
  } finally {
    closeSync(fd)
  }
}

/** Removes what one that has ended has left. */
export function forgetSign(folder: string, identity: string): void {
  rmSync(join(folder, nameOf(identity)), { force: true })
}

const nameOf = (identity: string): string => `${identity}.sock`

/** The path of a socket has 107 bytes at most, that of a home any number. */
const pathBelow = (fd: number, identity: string): string =>
  `/proc/self/fd/${fd}/${nameOf(identity)}`
