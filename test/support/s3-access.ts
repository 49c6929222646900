/** What a client of an S3 server needs to know. */
export interface S3Access {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** A server that a test may break. Its data outlive a kill. */
export interface S3Server {
  readonly access: S3Access
  start(): Promise<void>
  /** Without a word, as `kill -9` does. `start` brings it back at the same address. */
  kill(): Promise<void>
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

/** The account of servers that tests start themselves. */
export const ownAccount = {
  region: 'us-east-1',
  accessKeyId: 'weir-test',
  secretAccessKey: 'weir-test-secret',
}
