export type Call = { readonly method: string; readonly args: readonly unknown[] }

/**
 * One run of a process, and what happens on the lines to its ports. After it has died nothing that
 * it asks for happens, and nothing that it waits for arrives: it stands still, as a killed process
 * does.
 */
export class Life {
  isOver = false
  /** Ends the life before such a call of a port. */
  endBefore: (call: Call) => boolean = () => false
  /** Ends it when such a call has done its work, before the caller hears of it. */
  endAfter: (call: Call) => boolean = () => false
  /** Runs before a call that gives a promise: may delay it, or throw instead of it. */
  before: (call: Call) => Promise<void> | null = () => null

  /** A port as this process sees it. */
  port<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function' || typeof name === 'symbol') return member
        const method = member as (...args: readonly unknown[]) => unknown
        return (...args: readonly unknown[]): unknown =>
          this.#call({ method: name, args }, () => Reflect.apply(method, target, args))
      },
    })
  }

  #call(call: Call, run: () => unknown): unknown {
    if (this.endBefore(call)) this.isOver = true
    if (this.isOver) return forever
    const trouble = this.before(call)
    if (trouble) return this.#hear(call, trouble.then(run))
    const result = run()
    return result instanceof Promise ? this.#hear(call, result) : result
  }

  async #hear(call: Call, result: Promise<unknown>): Promise<unknown> {
    try {
      return await result
    } finally {
      if (this.endAfter(call)) this.isOver = true
      // A wait in `finally` keeps the answer, good or bad, from ever coming.
      if (this.isOver) await forever
    }
  }
}

const forever = new Promise<never>(() => undefined)
