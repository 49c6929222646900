import type { Command } from './command.ts'

/** Commands that check the books. */
export const auditCommands: readonly Command[] = []
