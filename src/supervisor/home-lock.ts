import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning, pidOf, processIdentity } from './process-identity.ts'
import { forgetSign, giveSign, givesSign } from './sign-of-life.ts'
import { StartError } from './start-error.ts'

// One weir per home. Node has no file locks, and a lock file that says "process 123" cannot be
// taken over without a race between two who both find 123 dead. So everybody who wants the home
// writes a claim of its own into `lock/`, named after the process, and then looks around:
//
//   claim ── a holder lives ──────────────▶ refused (waits first while the holder is stopping)
//     │ └─── a claim of a lower number ───▶ refused
//     └───── alone ──▶ held ──▶ stopping ──▶ released
//
// Of two who claim at once at least one sees the other. Files of processes that have ended count
// for nothing and are removed: kill -9 leaves nothing that needs taking over. Who lives in another
// container is known by the sign of life that it gives before it claims.

const pollMs = 20
const claimLimitMs = 5_000
const stoppingLimitMs = 20_000

export interface HomeLock {
  /** Tells those who come now that it is worth waiting. */
  announceStop(): void
  release(): void
}

type Mark = 'claim' | 'held' | 'stopping'

/** @throws StartError when another process has the home */
export async function lockHome(home: string): Promise<HomeLock> {
  const folder = join(home, 'lock')
  mkdirSync(folder, { recursive: true })
  const identity = processIdentity(process.pid)
  if (identity === undefined) throw new Error('This process cannot find itself.')
  const endSign = await giveSign(folder, identity)
  const put = (mark: Mark): void => writeFileSync(join(folder, `${mark}-${identity}`), '')
  const take = (mark: Mark): void => rmSync(join(folder, `${mark}-${identity}`), { force: true })
  const release = (): void => {
    // The claim goes last: whoever finds it alone waits for what becomes of it.
    for (const mark of ['stopping', 'held', 'claim'] as const) take(mark)
    endSign()
  }
  put('claim')
  try {
    await untilAlone({ home, folder, identity })
  } catch (error) {
    release()
    throw error
  }
  put('held')
  return { announceStop: () => put('stopping'), release }
}

/** Whether a weir has the home, or is about to. */
export async function isHomeTaken(home: string): Promise<boolean> {
  const folder = join(home, 'lock')
  return existsSync(folder) && (await livingMarks(folder)).length > 0
}

interface Claim {
  readonly home: string
  readonly folder: string
  readonly identity: string
}

async function untilAlone({ home, folder, identity }: Claim): Promise<void> {
  const startedAt = performance.now()
  for (;;) {
    const marks = await livingMarks(folder)
    const others = marks.filter((other) => other.identity !== identity)
    if (others.length === 0) return
    const holder = others.find(({ mark }) => mark === 'held')
    const isHolderStopping = others.some(({ mark }) => mark === 'stopping')
    const lower = others.find((other) => isLower(other.identity, identity))
    const refusedBy = isHolderStopping ? undefined : (holder ?? lower)
    const limitMs = isHolderStopping ? stoppingLimitMs : claimLimitMs
    const blocker = refusedBy ?? (performance.now() - startedAt > limitMs ? others[0] : undefined)
    if (blocker) {
      throw new StartError(
        `weir is already running in ${home} (process ${pidOf(blocker.identity)}): stop it first, ` +
          'or start this one with another WEIR_HOME and WEIR_PORT.',
      )
    }
    await sleep(pollMs)
  }
}

interface Marked {
  readonly mark: Mark
  readonly identity: string
}

/** In two containers both may have the same number. */
function isLower(one: string, other: string): boolean {
  const [a, b] = [pidOf(one), pidOf(other)]
  return a < b || (a === b && one < other)
}

async function livingMarks(folder: string): Promise<Marked[]> {
  const living: Marked[] = []
  for (const name of readdirSync(folder)) {
    const [, mark, identity = ''] = /^(claim|held|stopping)-(.+)$/.exec(name) ?? []
    if (mark !== 'claim' && mark !== 'held' && mark !== 'stopping') continue
    if (isRunning(identity) || (await givesSign(folder, identity))) {
      living.push({ mark, identity })
    } else {
      rmSync(join(folder, name), { force: true })
      forgetSign(folder, identity)
    }
  }
  return living
}
