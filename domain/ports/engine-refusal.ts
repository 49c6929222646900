/**
 * Something that weir stands on answers, and refuses: wrong credentials, missing rights, a bucket
 * that is not there. Its message tells an operator what; asked again, it refuses again.
 */
export class EngineRefusal extends Error {
  override readonly name: string = 'EngineRefusal'
}
