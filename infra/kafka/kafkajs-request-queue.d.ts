/** What `idle-queues.ts` touches of the inside of kafkajs, which has no types. */
declare module 'kafkajs/src/network/requestQueue/index.js' {
  type Options = {
    readonly maxInFlightRequests: number | null
    readonly requestTimeout: number
    readonly enforceRequestTimeout: boolean
    readonly clientId: string
    readonly broker: string
    readonly logger: Readonly<Record<'debug' | 'warn', () => void>>
  }
  type Request = {
    readonly entry: {
      readonly correlationId: number
      readonly resolve: () => void
      readonly reject: () => void
    }
    readonly expectResponse: boolean
    readonly sendRequest: () => void
  }

  class RequestQueue {
    constructor(options: Options)
    pending: readonly unknown[]
    push(request: Request): void
    fulfillRequest(response: { correlationId: number; size: number; payload: Buffer }): void
    scheduleCheckPendingRequests(): void
  }

  export { RequestQueue as default }
}
