/** What a route answers when a plain 200 with a body does not say it. */
export class Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: Readonly<Record<string, string>>
  /** Whether a repetition of the command is given this answer; else it finds out anew. */
  readonly isFinal: boolean

  constructor(
    status: number,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
    isFinal = true,
  ) {
    this.status = status
    this.body = body
    this.headers = headers
    this.isFinal = isFinal
  }
}
