import type { HoleAlarm } from '../../projections/hole-alarm.ts'
import { say } from './command.ts'

/** Tells at the terminal of events that a read model has missed. */
export const sayHole: HoleAlarm = ({ stream, seen, got }) =>
  say(`A hole: ${stream} has no revision between ${seen} and ${got}.`)
