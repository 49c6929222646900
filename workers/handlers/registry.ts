import { imageUpscale } from './image-upscale.ts'
import type { JobType } from './job-type.ts'
import { sandboxRun } from './sandbox-run.ts'

/** Job types by name. */
export type JobTypes = ReadonlyMap<string, JobType>

/** Every job type there is. A new one is a file beside this one and a line here. */
export const jobTypes: JobTypes = tableOf([imageUpscale, sandboxRun])

/** The job types of an installation; `WEIR_SANDBOX=false` takes the test mode away. */
export function enabledJobTypes(options: { readonly sandbox: boolean }): JobTypes {
  return options.sandbox ? jobTypes : tableOf([...jobTypes.values()].filter(isNoSandbox))
}

function isNoSandbox(type: JobType): boolean {
  return type !== sandboxRun
}

function tableOf(types: readonly JobType[]): JobTypes {
  return new Map(types.map((type) => [type.type, type]))
}
