/** What stops a command, as a sentence for the person at the terminal. */
export class CliError extends Error {
  override readonly name = 'CliError'
}

/** The command was written in a way that it does not understand. */
export class UsageError extends CliError {}

/** What was written behind the name of a command. */
export type Given = {
  readonly positionals: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
}

/** A flag of a command; the words behind it are for `--help`. */
export type Option = { readonly type: 'string' | 'boolean'; readonly about: string }

/** Of commands whose request can be repeated safely; `askOnce` sends it. */
export const idempotencyKey: Option = {
  type: 'string',
  about: 'with the same key again nothing is done again',
}

/** One command of the terminal. */
export type Command = {
  /** As it is typed, e.g. `job why`. */
  readonly name: string
  /** Its arguments, as the usage line shows them. */
  readonly usage: string
  readonly summary: string
  readonly options?: Readonly<Record<string, Option>>
  /** @returns the exit code @throws CliError */
  readonly run: (given: Given) => Promise<number>
}

/** The argument at that place. @throws UsageError when it is missing */
export function argument({ positionals }: Given, at: number, name: string): string {
  const value = positionals[at]
  if (value === undefined) throw new UsageError(`<${name}> is missing.`)
  return value
}

/** The value of `--name`; undefined when it was not given. */
export function option({ options }: Given, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** Whether the flag `--name` was given. */
export function isSet({ options }: Given, name: string): boolean {
  return options[name] === true
}

/** Prints one line. */
export function say(line = ''): void {
  process.stdout.write(`${line}\n`)
}
