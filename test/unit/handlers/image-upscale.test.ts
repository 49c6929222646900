import { beforeEach, describe, expect, test } from '@jest/globals'
import sharp, { type Sharp } from 'sharp'
import { deflateSync } from 'node:zlib'
import { MemoryObjectStore } from '../../../infra/memory/object-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { imageUpscale } from '../../../workers/handlers/image-upscale.ts'
import { emptyTrace, handlerContext, type JobTrace } from '../../support/handler-context.ts'

const ref = 'https://example.com/picture'
const blockSide = 8

let objects: MemoryObjectStore
let trace: JobTrace

beforeEach(() => {
  const clock = new SimulatedClock()
  objects = new MemoryObjectStore({ baseUrl: 'http://x', secretKey: Buffer.alloc(32), clock })
  trace = emptyTrace()
})

function run(picture: Buffer, input: object = {}, signal = new AbortController().signal) {
  const files = new Map([[ref, picture]])
  const context = { objects, clock: new SimulatedClock(), trace, files, signal }
  return imageUpscale.run(handlerContext({ input: { image: ref, scale: 4, ...input }, ...context }))
}

async function upscaled(picture: Buffer, input: object = {}): Promise<Picture> {
  const { object, outputs } = await run(picture, input)
  const chunks: Uint8Array[] = []
  for await (const chunk of (await objects.get(object.key)).body) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
  const { format } = await sharp(bytes).metadata()
  expect(outputs).toEqual({ width: info.width, height: info.height })
  return { ...info, data, format, contentType: object.contentType }
}

type Picture = {
  readonly data: Buffer
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly format: string
  readonly contentType: string
}

type Colour = readonly number[]

/** Blocks of 8 × 8 pixels, each of one colour that tells where it is. */
function blocks(across: number, down: number, colour: (x: number, y: number) => Colour): Sharp {
  const [width, height] = [across * blockSide, down * blockSide]
  const channels = colour(0, 0).length === 4 ? 4 : 3
  const data = Buffer.alloc(width * height * channels)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * channels
      data.set(colour(Math.floor(x / blockSide), Math.floor(y / blockSide)), at)
    }
  }
  return sharp(data, { raw: { width, height, channels } })
}

const mild = (x: number, y: number): Colour => [40 + x * 15, 40 + y * 20, 120 + x * 5 - y * 5]
const loud = (x: number, y: number): Colour => [(x * 97) % 256, (y * 61) % 256, (x * 31 + y) % 256]

/** How far the middle of the worst block is from its colour. */
function worst(picture: Picture, scale: number, colour: (x: number, y: number) => Colour): number {
  const side = blockSide * scale
  let worstSeen = 0
  for (let y = 0; y < picture.height / side; y += 1) {
    for (let x = 0; x < picture.width / side; x += 1) {
      const pixel = (y * side + side / 2) * picture.width + x * side + side / 2
      for (const [channel, value] of colour(x, y).entries()) {
        const seen = picture.data[pixel * picture.channels + channel] ?? NaN
        worstSeen = Math.max(worstSeen, Math.abs(seen - value))
      }
    }
  }
  return worstSeen
}

describe('image.upscale', () => {
  test.each([2, 3, 4])(
    'makes PNG sides %i times as long and keeps flat blocks exact',
    async (scale) => {
      const picture = await upscaled(await blocks(12, 8, loud).png().toBuffer(), { scale })
      expect([picture.width, picture.height]).toEqual([96 * scale, 64 * scale])
      expect([picture.format, picture.contentType]).toEqual(['png', 'image/png'])
      expect(worst(picture, scale, loud)).toBeLessThanOrEqual(1)
    },
  )

  test.each([
    ['jpeg', 'image/jpeg'],
    ['webp', 'image/webp'],
  ] as const)('keeps %s by default', async (format, contentType) => {
    const picture = await upscaled(await blocks(12, 8, mild).toFormat(format).toBuffer())
    expect([picture.width, picture.height]).toEqual([384, 256])
    expect([picture.format, picture.contentType]).toEqual([format, contentType])
    expect(worst(picture, 4, mild)).toBeLessThanOrEqual(12)
  })

  test.each(['gif', 'avif', 'tiff'] as const)('reads %s and writes png', async (format) => {
    const picture = await upscaled(await blocks(12, 8, mild).toFormat(format).toBuffer())
    expect([picture.width, picture.height, picture.format]).toEqual([384, 256, 'png'])
    expect(worst(picture, 4, mild)).toBeLessThanOrEqual(20)
  })

  test.each(['png', 'jpeg', 'webp'] as const)('writes %s when asked to', async (format) => {
    const picture = await upscaled(await blocks(4, 4, mild).png().toBuffer(), { format })
    expect([picture.format, picture.contentType]).toEqual([format, `image/${format}`])
    expect(worst(picture, 4, mild)).toBeLessThanOrEqual(12)
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'turns a JPEG of EXIF orientation %i upright',
    async (orientation) => {
      const stored = await blocks(6, 3, mild).jpeg({ quality: 95 }).toBuffer()
      const tagged = await sharp(stored).withMetadata({ orientation }).jpeg().toBuffer()
      const upright = await sharp(tagged).autoOrient().raw().toBuffer({ resolveWithObject: true })
      const picture = await upscaled(tagged, { format: 'png' })
      const [width, height] = orientation < 5 ? [192, 96] : [96, 192]
      expect([picture.width, picture.height]).toEqual([width, height])
      const at = (data: Buffer, x: number, y: number, across: number) => [
        ...data.subarray((y * across + x) * 3, (y * across + x) * 3 + 3),
      ]
      const seen = at(picture.data, 16, 16, picture.width)
      const expected = at(upright.data, 4, 4, upright.info.width)
      for (const n of [0, 1, 2]) expect(Math.abs(seen[n]! - expected[n]!)).toBeLessThanOrEqual(12)
    },
  )

  test.each(['png', 'webp'] as const)('keeps the transparency of %s', async (format) => {
    const clear = (x: number, y: number): Colour => [...mild(x, y), x % 2 === 0 ? 255 : 0]
    const options = format === 'webp' ? { lossless: true } : {}
    const picture = await upscaled(await blocks(4, 4, clear).toFormat(format, options).toBuffer())
    expect(picture.channels).toBe(4)
    const alpha = (x: number, y: number) => picture.data[(y * picture.width + x) * 4 + 3]
    expect([alpha(16, 16), alpha(48, 16)]).toEqual([255, 0])
  })

  test('puts transparency on white when JPEG is asked for', async () => {
    const clear = await blocks(2, 2, () => [10, 20, 30, 0])
      .png()
      .toBuffer()
    const picture = await upscaled(clear, { format: 'jpeg' })
    expect([...picture.data.subarray(0, 3)]).toEqual([255, 255, 255])
  })

  test('takes the first frame of an animation', async () => {
    const frames = [
      [200, 20, 20],
      [20, 200, 20],
    ].map((colour) => blocks(2, 2, () => colour))
    const pngs = await Promise.all(frames.map((frame) => frame.png().toBuffer()))
    const animation = await sharp(pngs, { join: { animated: true } })
      .webp()
      .toBuffer()
    const picture = await upscaled(animation, { format: 'png' })
    expect([picture.width, picture.height]).toEqual([64, 64])
    expect(picture.data[0]).toBeGreaterThan(150)
  })

  test('is one call of one image, as estimated, and tells its progress', async () => {
    await run(await blocks(2, 2, mild).png().toBuffer())
    const call = { provider: 'weir', model: 'lanczos3', units: { images: '1' } }
    expect(trace.calls).toEqual([call])
    expect(imageUpscale.estimate({ image: ref, scale: 4 })).toEqual([call])
    expect(trace.progress).toEqual([10, 20, 99])
    expect([...trace.progress].sort((a, b) => a - b)).toEqual(trace.progress)
  })

  test('a picture that is stored is not made again by the next attempt', async () => {
    const picture = await blocks(2, 2, mild).png().toBuffer()
    const first = await run(picture)
    expect(await run(Buffer.from('gone'))).toEqual(first)
    expect(trace.calls).toHaveLength(1)
  })
})

describe('image.upscale refuses', () => {
  async function expectRefusal(picture: Buffer, code: string, input: object = {}) {
    await expect(run(picture, input)).rejects.toMatchObject({ code, retryable: false })
    expect(trace.calls).toEqual([])
  }

  test('what is no picture', async () => {
    await expectRefusal(Buffer.alloc(0), 'invalid_image')
    await expectRefusal(Buffer.from('no picture at all, but text'), 'invalid_image')
  })

  test('drawings and documents, whose decoders read more than pictures', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    await expectRefusal(Buffer.from(svg), 'invalid_image')
    await expectRefusal(Buffer.from('%PDF-1.4\n%%EOF'), 'invalid_image')
  })

  test.each(['png', 'jpeg', 'webp'] as const)('a %s that is cut off', async (format) => {
    const whole = await blocks(40, 40, loud).toFormat(format).toBuffer()
    await expectRefusal(whole.subarray(0, Math.floor(whole.length / 2)), 'invalid_image')
    expect(await objects.head('results/job-1/1/image.png')).toBeNull()
  })

  test('a PNG whose pixels are damaged', async () => {
    const whole = await blocks(40, 40, loud).png().toBuffer()
    whole.fill(0x55, Math.floor(whole.length / 2), Math.floor(whole.length / 2) + 40)
    await expectRefusal(whole, 'invalid_image')
  })

  test('a bomb, before it is unpacked', async () => {
    const bomb = pngOf(50_000, 50_000, Buffer.alloc(1000))
    const before = process.memoryUsage.rss()
    await expectRefusal(bomb, 'image_too_large', { scale: 2 })
    expect(process.memoryUsage.rss() - before).toBeLessThan(100_000_000)
  })

  test('more than 24 megapixels, and results of more than 100', async () => {
    await expectRefusal(pngOf(6001, 4000, Buffer.alloc(10)), 'image_too_large', { scale: 2 })
    await expectRefusal(pngOf(4000, 3000, Buffer.alloc(10)), 'image_too_large', { scale: 3 })
  })

  test('a side that the format cannot have', async () => {
    await expectRefusal(pngOf(5000, 10, Buffer.alloc(10)), 'image_too_large', { format: 'webp' })
    await expectRefusal(pngOf(20_000, 10, Buffer.alloc(10)), 'image_too_large', { format: 'jpeg' })
  })

  test('more than 20 MB', async () => {
    await expectRefusal(Buffer.alloc(20_000_001), 'image_too_large')
  })

  test('nothing, but ends, when its signal aborts', async () => {
    const stop = new AbortController()
    const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const
    const create = { width: 800, height: 800, channels: 3, background: 'red', noise } as const
    const running = run(await sharp({ create }).jpeg().toBuffer(), {}, stop.signal)
    stop.abort(new Error('canceled'))
    await expect(running).rejects.toThrow('canceled')
    expect(trace.calls).toEqual([])
    expect(await objects.head('results/job-1/1/image.jpeg')).toBeNull()
  })
})

/** A grey PNG that says it has these sides, whatever pixels follow. */
function pngOf(width: number, height: number, pixels: Buffer): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head[8] = 8
  const signature = Buffer.from('89504e470d0a1a0a', 'hex')
  const chunks = [chunk('IHDR', head), chunk('IDAT', deflateSync(pixels)), chunk('IEND')]
  return Buffer.concat([signature, ...chunks])
}

function chunk(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(data.length, 0)
  body.copy(out, 4)
  out.writeUInt32BE(crc32(body), body.length + 4)
  return out
}

function crc32(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
