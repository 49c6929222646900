import { Clock } from '../../domain/ports/clock.ts'
import type { Faults } from './faults.ts'
import type { Scheduler } from './scheduler.ts'

/** What a client is told when the process that it talked to is gone. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

/** Waits that are no work: they fail in no way of their own. */
const patient = new Set(['wait', 'listen', 'subscribe'])
/** Methods that answer at once. */
const synchronous = new Set(['compare', 'recent'])

/**
 * One run of an operating-system process. What it asks of a port travels there and back, each way
 * for a time that the seed chooses. After its death no answer reaches it and no timer wakes it;
 * what was on its way to a port may still happen there. Paused, it hears everything afterwards.
 */
export class SimulatedProcess {
  readonly name: string
  readonly clock: Clock
  readonly #scheduler: Scheduler
  readonly #faults: Faults
  readonly #held: (() => void)[] = []
  readonly #clients = new Set<() => void>()
  #isPaused = false
  isDead = false

  constructor(name: string, scheduler: Scheduler, faults: Faults) {
    this.name = name
    this.#scheduler = scheduler
    this.#faults = faults
    this.clock = new ProcessClock(scheduler, this)
  }

  kill(): void {
    this.#scheduler.trace(`${this.name} dies`)
    this.isDead = true
    this.#held.length = 0
    for (const hangUp of this.#clients) hangUp()
    this.#clients.clear()
  }

  pause(): void {
    this.#scheduler.trace(`${this.name} stands still`)
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#scheduler.trace(`${this.name} goes on`)
    this.#isPaused = false
    for (const run of this.#held.splice(0)) this.#scheduler.after(0, `${this.name} hears`, run)
  }

  /** Runs code of this process, if it lives; later, if it stands still. */
  deliver(run: () => void): void {
    if (this.isDead) return
    if (this.#isPaused) this.#held.push(() => this.deliver(run))
    else run()
  }

  /** A request of a client. @throws ConnectionLost when the process dies before it has answered */
  request<T>(run: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const hangUp = (): void => reject(new ConnectionLost())
      if (this.isDead) return hangUp()
      this.#clients.add(hangUp)
      const done = (answer: () => void) => (): void => {
        this.#clients.delete(hangUp)
        if (!this.isDead) answer()
      }
      const fail = (error: unknown): void => {
        done(() => reject(error instanceof Error ? error : new Error(String(error))))()
      }
      this.deliver(() => void run().then((value) => done(() => resolve(value))(), fail))
    })
  }

  /** A port as this process sees it. */
  port<Port extends object>(name: string, port: Port): Port {
    return new Proxy(port, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target)
        if (typeof member !== 'function' || typeof key === 'symbol') return member
        const method = member as (...args: readonly unknown[]) => unknown
        if (synchronous.has(key)) return method.bind(target)
        return (...args: readonly unknown[]) => {
          const heard = args.map((arg) => (typeof arg === 'function' ? this.#callback(arg) : arg))
          const run = async (): Promise<unknown> => Reflect.apply(method, target, heard)
          return this.#call(`${name}.${key}`, patient.has(key), run)
        }
      },
    })
  }

  #callback(callback: unknown): (...args: readonly unknown[]) => void {
    const call = callback as (...args: readonly unknown[]) => unknown
    return (...args) => this.deliver(() => void call(...args))
  }

  #call(what: string, isPatient: boolean, run: () => Promise<unknown>): Promise<unknown> {
    const label = `${this.name} ${what}`
    const scheduler = this.#scheduler
    const fault = isPatient ? null : this.#faults.ofCall(what)
    return new Promise((resolve, reject) => {
      const answer = (tell: () => void): void => {
        scheduler.after(this.#faults.delayMs(what), `${label} answers`, () => this.deliver(tell))
      }
      const fail = (error: unknown): void => {
        answer(() => reject(error instanceof Error ? error : new Error(String(error))))
      }
      const perform = (): void => {
        if (this.isDead && this.#faults.isLostWithItsSender()) return
        if (fault === 'lost') return fail(this.#faults.errorOf(what))
        const done = (value: unknown): void => {
          if (fault === 'answer lost') fail(this.#faults.errorOf(what))
          else answer(() => resolve(value))
        }
        // The caller has given up long before; the request arrives all the same.
        if (fault === 'late') {
          fail(this.#faults.errorOf(what))
          const late = (): void => void run().catch(() => undefined)
          scheduler.after(this.#faults.lateMs(), `${label} arrives late`, late)
        } else void run().then(done, fail)
      }
      scheduler.after(this.#faults.delayMs(what), label, perform)
    })
  }
}

/** Time as one process feels it: its timers die with it, and wait while it stands still. */
class ProcessClock extends Clock {
  readonly #scheduler: Scheduler
  readonly #process: SimulatedProcess

  constructor(scheduler: Scheduler, process: SimulatedProcess) {
    super()
    this.#scheduler = scheduler
    this.#process = process
  }

  override now(): number {
    return this.#scheduler.now()
  }

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const cancel = this.#scheduler.after(ms, `${this.#process.name} wakes`, () => {
        signal?.removeEventListener('abort', wake)
        this.#process.deliver(resolve)
      })
      const wake = (): void => {
        cancel()
        resolve()
      }
      signal?.addEventListener('abort', wake, { once: true })
    })
  }
}
