#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { auditCommands } from './cli/audit.ts'
import { CliError, say, UsageError } from './cli/command.ts'
import type { Command } from './cli/command.ts'
import { doctorCommands } from './cli/doctor.ts'
import { jobCommands } from './cli/job.ts'
import { moveCommands } from './cli/move.ts'
import { orgCommands } from './cli/org.ts'
import { systemCommands } from './cli/system.ts'
import { ConfigError } from './config.ts'
import { ToolError } from './profiles/tool.ts'
import { version } from './version.ts'

/** Every command of the terminal. A new group is a file in cli/ and a line here. */
const commands: readonly Command[] = [
  ...systemCommands,
  ...doctorCommands,
  ...jobCommands,
  ...orgCommands,
  ...auditCommands,
  ...moveCommands,
]

function help(among: readonly Command[]): void {
  say('Usage: weir <command>')
  say()
  const wide = Math.max(...among.map(({ name, usage }) => `${name} ${usage}`.length))
  for (const { name, usage, summary } of among) {
    say(`  ${`${name} ${usage}`.padEnd(wide)}   ${summary}`)
  }
  say()
  say('`weir <command> --help` shows its options. Commands that look into the database take')
  say('DATABASE_URL, else the Postgres of WEIR_HOME (.weir). Commands that call the api take')
  say('WEIR_URL with WEIR_API_KEY or WEIR_ADMIN_TOKEN, else dev.json of WEIR_HOME.')
}

function helpOf({ name, usage, summary, options }: Command): void {
  say(`Usage: weir ${name} ${usage}`.trimEnd())
  say()
  say(summary)
  if (!options) return
  const lines = Object.entries(options).map(([option, { type, about }]) => {
    return { flag: `--${option}${type === 'string' ? ' <value>' : ''}`, about }
  })
  const wide = Math.max(...lines.map(({ flag }) => flag.length))
  say()
  for (const { flag, about } of lines) say(`  ${flag.padEnd(wide)}   ${about}`)
}

/** The command that the words begin with: the longest name wins. */
function find(words: readonly string[]): Command | undefined {
  const isNamed = ({ name }: Command): boolean =>
    name.split(' ').every((word, at) => words[at] === word)
  return commands.filter(isNamed).sort((a, b) => b.name.length - a.name.length)[0]
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-h'
}

async function main(words: readonly string[]): Promise<number> {
  const [first, second] = words
  if (first === '--version') {
    say(version)
    return 0
  }
  const command = find(words)
  if (command) return runCommand(command, words.slice(command.name.split(' ').length))
  const group = commands.filter(({ name }) => name.split(' ')[0] === first)
  help(group.length > 0 ? group : commands)
  if (first === undefined || first === 'help' || isHelp(first)) return 0
  if (group.length > 0 && second !== undefined && isHelp(second)) return 0
  process.stderr.write(`There is no command \`weir ${words.slice(0, 2).join(' ')}\`.\n`)
  return 2
}

async function runCommand(command: Command, words: readonly string[]): Promise<number> {
  if (words.some(isHelp)) {
    helpOf(command)
    return 0
  }
  try {
    const options = command.options ?? {}
    const { positionals, values } = parseWords(words, options)
    // What stands behind a flag is its value.
    const most = command.usage.match(/(?<!--[a-z-]+ )<[^>]+>/g)?.length ?? 0
    if (positionals.length > most && !command.usage.includes('…')) {
      throw new UsageError(`\`${String(positionals[most])}\` is one argument too many.`)
    }
    return await command.run({ positionals, options: values })
  } catch (error) {
    if (!isForTheUser(error)) throw error
    process.stderr.write(`${error.message}\n`)
    if (!(error instanceof UsageError)) return 1
    process.stderr.write(`Usage: weir ${command.name} ${command.usage}\n`)
    return 2
  }
}

function parseWords(words: readonly string[], options: NonNullable<Command['options']>) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function isForTheUser(error: unknown): error is Error {
  return error instanceof CliError || error instanceof ToolError || error instanceof ConfigError
}

// Whoever reads the output may leave before the end, as `head` does. What a command has opened it
// closes, when it is told.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') {
    process.stderr.write(`The output cannot be written: ${error.message}\n`)
    process.exit(1)
  }
  if (process.listenerCount('SIGPIPE') > 0) process.emit('SIGPIPE')
  else process.exit(0)
})
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : String(error)}\n`)
    process.exitCode = 1
  },
)
