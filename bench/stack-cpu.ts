import { cpuSeconds } from './processes.ts'
import type { Stack } from './stack.ts'

/** CPU time that each part of a stack has used since it began, seconds. */
export function stackCpu(stack: Stack): Map<string, number> {
  const total = new Map<string, number>()
  for (const { pid } of stack.processes) {
    for (const [name, seconds] of cpuSeconds(pid, stack.label)) {
      total.set(name, (total.get(name) ?? 0) + seconds)
    }
  }
  return total
}
