/**
 * What an aggregate is: how its state folds from events, and what a command does to it.
 *
 * `decide` returns the events that the command causes; an empty list means "already done", which
 * is what makes every command safe to run twice. It refuses by throwing a DomainError.
 * `evolve` never throws and never decides.
 */
export type Decider<State, Command, Event extends DomainEvent> = {
  readonly initial: State
  readonly evolve: (state: State, event: Event) => State
  readonly decide: (state: State, command: Command) => readonly Event[]
}

/** An event before it has a place in the log. `type` and the field names are the storage format. */
export type DomainEvent = { readonly type: string; readonly data: object }

/** Folds a history into a state. */
export function fold<State, Event>(
  evolve: (state: State, event: Event) => State,
  state: State,
  events: Iterable<Event>,
): State {
  let folded = state
  for (const event of events) folded = evolve(folded, event)
  return folded
}
