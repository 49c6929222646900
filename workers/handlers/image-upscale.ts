import { uploadIdPattern } from '../../domain/upload/upload-key.ts'
import { JobError } from '../job-error.ts'
import type { HandlerContext, JobTypeDefinition } from './handler.ts'
import { defineJobType } from './job-type.ts'
import type { PictureFormat } from './picture.ts'

const inputBytesMax = 20_000_000

/** Input of `image.upscale`. */
export type UpscaleInput = {
  readonly image: string
  readonly scale: 2 | 3 | 4
  readonly format?: PictureFormat
}

const httpsUrl = 'https://[^\\s]{1,4000}'
const dataUrl = 'data:image/[a-z0-9.+-]{1,40};base64,'

const inputSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  required: ['image', 'scale'],
  properties: {
    image: {
      type: 'string',
      pattern: `^(${uploadIdPattern}$|${httpsUrl}$|${dataUrl})`,
      description: 'an upload id, an https URL or a data URL (data:image/…;base64,…)',
    },
    scale: {
      type: 'integer',
      enum: [2, 3, 4],
      description: 'How many times as long each side becomes.',
    },
    format: {
      type: 'string',
      enum: ['png', 'jpeg', 'webp'],
      description: 'Default: the format of the input; png where that cannot be written.',
    },
  },
} as const

const oneImage = { provider: 'weir', model: 'lanczos3', units: { images: '1' } } as const

const definition: JobTypeDefinition<UpscaleInput> = {
  type: 'image.upscale',
  title: 'Image upscale',
  description:
    'Makes a picture two, three or four times as wide and high. Reads PNG, JPEG, WebP, GIF, ' +
    'AVIF and TIFF of at most 20 MB and 24 megapixels; writes at most 100 megapixels.',
  inputSchema,
  maxAttempts: 5,
  uploads: ['image'],
  providers: ['weir'],
  concurrencyMax: 2,
  estimate: () => [oneImage],
  run,
}

export const imageUpscale = defineJobType(definition)

async function run(context: HandlerContext<UpscaleInput>) {
  const { scale, format } = context.input
  const { object, width, height } = await context.step('upscale', async (step) => {
    const picture = await readAll(context)
    context.progress(10, 'picture read')
    const { planUpscale, upscale } = await import('./picture.ts')
    const plan = await planUpscale(picture, scale, format)
    // The call is paid once the result is stored, so that no failure costs anything.
    return step.call(oneImage, async ({ signal }) => {
      const { width, height, contentType } = plan
      context.progress(20, `making ${width} × ${height} pixels`)
      const pixels = upscale(picture, plan, signal)
      const object = await context.store(`image.${plan.format}`, pixels, contentType)
      return { value: { object, width, height }, units: oneImage.units }
    })
  })
  context.progress(99, 'picture stored')
  return { object, outputs: { width, height } }
}

async function readAll(context: HandlerContext<UpscaleInput>): Promise<Buffer> {
  const { bytes, body } = await context.open(context.input.image)
  if (bytes > inputBytesMax) throw tooManyBytes()
  const chunks: Uint8Array[] = []
  let read = 0
  for await (const chunk of body) {
    read += chunk.byteLength
    if (read > inputBytesMax) throw tooManyBytes()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, read)
}

function tooManyBytes(): JobError {
  const message = 'The picture has more than 20 MB.'
  return new JobError({ code: 'image_too_large', message, retryable: false })
}
