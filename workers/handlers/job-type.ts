import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { invalid, type FieldError } from '../../domain/errors.ts'
import { JobError } from '../job-error.ts'
import { describeError } from './input-error.ts'
import type {
  EstimatedCall,
  HandlerContext,
  JobOutcome,
  JobTypeDefinition,
  JobTypeFacts,
} from './handler.ts'

const fieldErrorsMax = 20

/** A job type whatever its input is: it checks the input itself, at submit and again at run. */
export type JobType = JobTypeFacts & {
  /** What is wrong with the input; empty when nothing is. */
  readonly validate: (input: unknown) => readonly FieldError[]
  /** @throws DomainError `invalid_input` */
  readonly estimate: (input: unknown) => readonly EstimatedCall[]
  /** @throws JobError, and what the signal was aborted with */
  readonly run: (context: HandlerContext<unknown>) => Promise<JobOutcome>
}

const ajv = new Ajv2020({
  ...{ allErrors: true, verbose: true, strict: true, allowUnionTypes: true },
  // Compiling the schema of schemas took 70 ms of each start; tests hold ours against it.
  ...{ meta: false, validateSchema: false },
})

/** Makes a job type of its definition; its schema is compiled when the first input comes. */
export function defineJobType<Input>(definition: JobTypeDefinition<Input>): JobType {
  const { estimate, run, ...facts } = definition
  let compiled: ValidateFunction<Input> | undefined
  const checkOf = () => (compiled ??= ajv.compile<Input>(facts.inputSchema))
  return {
    ...facts,
    validate: (input) => {
      const check = checkOf()
      return check(input) ? [] : fieldErrors(check.errors)
    },
    estimate: (input) => {
      const check = checkOf()
      if (check(input)) return estimate(input)
      throw invalid('invalid_input', fieldErrors(check.errors))
    },
    run: async (context) => {
      const check = checkOf()
      if (hasInput(context, check)) return run(context)
      // The schema was changed after the job was admitted.
      const message = fieldErrors(check.errors).map(sentence).join('; ')
      throw new JobError({ code: 'invalid_input', message, retryable: false })
    },
  }
}

function hasInput<Input>(
  context: HandlerContext<unknown>,
  check: ValidateFunction<Input>,
): context is HandlerContext<Input> {
  return check(context.input)
}

function fieldErrors(errors: readonly ErrorObject[] | null | undefined): readonly FieldError[] {
  return (errors ?? []).slice(0, fieldErrorsMax).map(describeError)
}

function sentence({ pointer, detail }: FieldError): string {
  return `${pointer} ${detail}`
}
