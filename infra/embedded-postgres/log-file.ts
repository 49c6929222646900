import { copyFile, stat, truncate } from 'node:fs/promises'

const bytesMax = 10_000_000
const lookEveryMs = 60_000

/**
 * Moves what a log that has grown large holds to `<file>.1`. Postgres has the file open and goes
 * on writing to it, at its end: so it is emptied, not renamed.
 */
export async function rotateLog(file: string): Promise<void> {
  if ((await sizeOf(file)) <= bytesMax) return
  // On a full disk there is no room for what was: the log ends all the same.
  await copyFile(file, `${file}.1`).catch(() => undefined)
  await truncate(file)
}

/** Keeps the log of a server from growing without end, as long as the server runs. */
export function keepRotating(file: string, exited: Promise<unknown>): void {
  const timer = setInterval(() => void rotateLog(file).catch(() => undefined), lookEveryMs)
  timer.unref()
  void exited.then(() => clearInterval(timer))
}

/** 0 for one that is not there. */
export async function sizeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}
