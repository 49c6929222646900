/** An event as the stand-in keeps it. Positions grow by what a record would take on disk. */
export type StandInRecord = {
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly isJson: boolean
  readonly data: Buffer
  readonly meta: Buffer
  readonly createdMs: number
  /** Commit and prepare position in one: a server writes other ones for old transactions only. */
  readonly position: number
}
