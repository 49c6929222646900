/**
 * Something that weir stands on, such as its database, does not answer, or not in time. What was
 * asked of it may have happened; asked again later, it may answer.
 */
export class EngineUnavailable extends Error {
  override readonly name: string = 'EngineUnavailable'
}
