type Undo = () => void | Promise<void>

const undos: { what: string; undo: Undo }[] = []

/** Registers how to undo something that was started; undone in reverse order, each once. */
export function onCleanup(what: string, undo: Undo): void {
  undos.push({ what, undo })
}

let cleaning: Promise<void> = Promise.resolve()

/** Undoes everything registered since `mark` (default: everything), after what is being undone. */
export async function cleanUp(mark = 0): Promise<void> {
  cleaning = cleaning.then(() => undoDownTo(mark))
  await cleaning
}

/** One failure hides no other. */
async function undoDownTo(mark: number): Promise<void> {
  while (undos.length > mark) {
    const entry = undos.pop()
    if (!entry) return
    try {
      await entry.undo()
    } catch (error) {
      process.stderr.write(`cleaning up ${entry.what} failed: ${String(error)}\n`)
    }
  }
}

/** Runs `work` and undoes what it started, whether it succeeds or throws. */
export async function scoped<T>(work: () => Promise<T>): Promise<T> {
  const mark = undos.length
  try {
    return await work()
  } finally {
    await cleanUp(mark)
  }
}

/**
 * Ctrl-C, a closed terminal, `kill`, a reader of the output that goes away (`| head`) and an error
 * that nobody catches end the benchmark with nothing left behind.
 */
export function cleanUpAtAnyEnd(): void {
  let ending = false
  const end = (code: number) => (): void => {
    if (ending) return
    ending = true
    void cleanUp().finally(() => process.exit(code))
  }
  process.on('SIGINT', end(130))
  process.on('SIGTERM', end(143))
  process.on('SIGHUP', end(129))
  process.stdout.on('error', end(1))
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack ?? String(error)}\n`)
    end(1)()
  })
}
