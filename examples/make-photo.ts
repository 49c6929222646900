/**
 * Paints examples/photo.jpg, the picture that the page and `npm run demo` upscale: a river that
 * falls over a weir, at the end of a clear afternoon. No camera and nobody's rights are involved
 * (CC0), and the same script gives the same picture, so that it can be judged by reading.
 *
 * A height field is marched per pixel at nine times the area, then scaled down. It takes about
 * fifteen seconds:
 *   node dist/examples/make-photo.js [target]
 *
 * Units: metres, y is up, the river flows towards the camera along -z.
 */
import sharp from 'sharp'

const WIDTH = 480
const HEIGHT = 320
const OVERSAMPLING = 3
const WEIR_Z = 31
const UPPER_LEVEL = 2.3
const LOWER_LEVEL = 0
/** Above this share of the dice a tree is a broad one, in its autumn colours. */
const LEAFY = 0.86

type Vec = readonly [number, number, number]

const add = (a: Vec, b: Vec, s = 1): Vec => [a[0] + b[0] * s, a[1] + b[1] * s, a[2] + b[2] * s]
const scale = (a: Vec, s: number): Vec => [a[0] * s, a[1] * s, a[2] * s]
const dot = (a: Vec, b: Vec): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
const unit = (a: Vec): Vec => scale(a, 1 / Math.hypot(...a))
const mix = (a: number, b: number, t: number): number => a + (b - a) * t
const mixVec = (a: Vec, b: Vec, t: number): Vec => [
  mix(a[0], b[0], t),
  mix(a[1], b[1], t),
  mix(a[2], b[2], t),
]
const clamp = (x: number): number => Math.min(1, Math.max(0, x))
const smooth = (from: number, to: number, x: number): number => {
  const t = clamp((x - from) / (to - from))
  return t * t * (3 - 2 * t)
}

const EYE: Vec = [-3.2, 6.6, 2]
const FORWARD = unit([0.05, -0.085, 1])
const RIGHT = unit([FORWARD[2], 0, -FORWARD[0]])
const UP: Vec = [
  FORWARD[1] * RIGHT[2] - FORWARD[2] * RIGHT[1],
  FORWARD[2] * RIGHT[0] - FORWARD[0] * RIGHT[2],
  FORWARD[0] * RIGHT[1] - FORWARD[1] * RIGHT[0],
]
const SUN = unit([-0.82, 0.4, -0.16])
const SUN_COLOUR: Vec = [3.1, 2.15, 1.25]
const SKY_LIGHT: Vec = [0.34, 0.46, 0.68]

/** A fixed pseudo-random number in [0, 1) for a grid point. */
function hash(x: number, y: number): number {
  let h = Math.imul(x | 0, 0x27d4eb2d) ^ Math.imul(y | 0, 0x165667b1)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296
}

function noise(x: number, y: number): number {
  const ix = Math.floor(x)
  const iy = Math.floor(y)
  const u = smooth(0, 1, x - ix)
  const v = smooth(0, 1, y - iy)
  const top = mix(hash(ix, iy), hash(ix + 1, iy), u)
  return mix(top, mix(hash(ix, iy + 1), hash(ix + 1, iy + 1), u), v)
}

/** Fractal noise around 0, roughly in [-1, 1]. */
function fractal(x: number, y: number, octaves: number): number {
  let sum = 0
  let amplitude = 0.5
  for (let i = 0; i < octaves; i++) {
    sum += amplitude * (noise(x, y) * 2 - 1)
    const turned = x * 1.6 - y * 1.2 + 17.3
    y = x * 1.2 + y * 1.6 + 4.1
    x = turned
    amplitude /= 2
  }
  return sum
}

/** Where the middle of the river is at a depth, and how far a point lies outside its bank. */
function beyondBank(x: number, z: number): number {
  const bend = z < WEIR_Z ? 0 : (z - WEIR_Z) / 95
  const middle = 3 + 34 * (bend * bend) * (1 - Math.min(bend, 2.2) * 0.36)
  const half =
    mix(15, 11, smooth(WEIR_Z, WEIR_Z + 60, z)) + fractal(z * 0.11, x > middle ? 3 : 9, 2) * 2
  return Math.abs(x - middle) - half
}

/** The height of the crown of a conifer above the ground, 0 between trees. */
function treeHeight(x: number, z: number, density: number): number {
  const cell = 4.2
  const cx = Math.floor(x / cell)
  const cz = Math.floor(z / cell)
  let best = 0
  for (let i = -1; i <= 1; i++) {
    for (let j = -1; j <= 1; j++) {
      const gx = cx + i
      const gz = cz + j
      if (hash(gx + 71, gz - 13) > density) continue
      const tx = (gx + 0.15 + 0.7 * hash(gx, gz)) * cell
      const tz = (gz + 0.15 + 0.7 * hash(gx + 31, gz + 57)) * cell
      const leafy = hash(gx + 5, gz + 2) > LEAFY
      const height = leafy ? 5 + 4 * hash(gx - 7, gz + 5) : 7 + 9 * hash(gx - 7, gz + 5)
      const radius = height * (leafy ? 0.4 : 0.21)
      const ragged = 1 + 0.45 * fractal(x * 2.3, z * 2.3, 3)
      const taper = 1 - (Math.hypot(x - tx, z - tz) / radius) * ragged
      if (taper > 0) best = Math.max(best, height * Math.pow(taper, leafy ? 0.42 : 0.85))
    }
  }
  return best
}

/** The two stone piers that hold the crest. */
function isMasonry(x: number, z: number): boolean {
  const out = beyondBank(x, WEIR_Z)
  return Math.abs(z - WEIR_Z + 0.6) < 2.9 && out > -1.4 && out < 1.2
}

/** Ground without trees. */
function ground(x: number, z: number): number {
  const out = beyondBank(x, z)
  const level = z < WEIR_Z - 1 ? LOWER_LEVEL : UPPER_LEVEL
  if (out < -3) return level - 2
  if (isMasonry(x, z)) return UPPER_LEVEL + 1.3
  const top = mix(LOWER_LEVEL + 1.3, UPPER_LEVEL + 1.2, smooth(WEIR_Z - 17, WEIR_Z - 4, z))
  const bank = mix(level - 2, top, smooth(-2.5, 2.2, out))
  const slope = Math.max(0, out - 9)
  const hill = Math.pow(slope, 1.22) * 0.2 * (0.75 + 0.5 * noise(x * 0.012 + 5, z * 0.012))
  const rough = fractal(x * 0.33, z * 0.33, 4) * (0.35 + Math.min(2.4, slope * 0.04))
  const meadow = smooth(0, 12, out) * fractal(x * 0.03 + 2, z * 0.03, 3) * 3
  return bank + Math.min(hill, 90) + rough + Math.max(0, meadow)
}

function forest(x: number, z: number): number {
  const out = beyondBank(x, z)
  if (out < 6 || z < 20) return 0
  const edge = smooth(6, 22, out + fractal(x * 0.05, z * 0.05, 2) * 12)
  const clearing = smooth(-0.25, 0.1, fractal(x * 0.016 + 40, z * 0.016, 2) + 0.16)
  return treeHeight(x, z, edge * clearing * 0.92)
}

/** Heights sampled once on a grid: the march asks for millions of them. */
interface Field {
  readonly at: (x: number, z: number) => number
  readonly treeAt: (x: number, z: number) => number
}

function sampleField(): Field {
  const step = 0.3
  const left = -150
  const columns = 1100
  const rows = 1100
  const heights = new Float32Array(columns * rows)
  const trees = new Float32Array(columns * rows)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x = left + column * step
      const z = row * step
      const tree = forest(x, z)
      trees[row * columns + column] = tree
      heights[row * columns + column] = ground(x, z) + tree
    }
  }
  const read = (grid: Float32Array) => (x: number, z: number) => {
    const u = Math.min(columns - 1.001, Math.max(0, (x - left) / step))
    const v = Math.min(rows - 1.001, Math.max(0, z / step))
    const column = Math.floor(u)
    const i = Math.floor(v) * columns + column
    const fu = u - column
    const top = mix(grid[i] ?? 0, grid[i + 1] ?? 0, fu)
    const below = mix(grid[i + columns] ?? 0, grid[i + columns + 1] ?? 0, fu)
    return mix(top, below, v - Math.floor(v))
  }
  return { at: read(heights), treeAt: read(trees) }
}

/** How far a ray is followed, from and to, in metres. */
type Reach = readonly [number, number]

/** Distance along the ray to the ground or a tree, or 0 when it leaves the valley. */
function march(field: Field, from: Vec, along: Vec, [start, limit]: Reach): number {
  let t = start
  for (let i = 0; i < 1200 && t < limit; i++) {
    const p = add(from, along, t)
    if (p[1] > 125) return 0
    const above = p[1] - field.at(p[0], p[2])
    if (above < 0.002 * t) return t
    t += Math.max(0.03, Math.min(above * 0.17, 3) + t * 0.0003)
  }
  return 0
}

function sky(along: Vec): Vec {
  const up = Math.max(0, along[1])
  let colour = mixVec([1.05, 0.78, 0.56], [0.16, 0.37, 0.72], Math.pow(smooth(-0.02, 0.5, up), 0.6))
  const toSun = clamp(dot(along, SUN))
  colour = add(colour, [1.0, 0.62, 0.3], 0.55 * Math.pow(toSun, 6) + 0.8 * Math.pow(toSun, 60))
  const far = 1 / (up + 0.09)
  const u = along[0] * far
  const v = along[2] * far
  const shape =
    fractal(u * 0.55 + 8.2, v * 1.05 + 1.7, 6) + 0.35 * fractal(u * 0.2, v * 0.35 + 9, 2)
  const cover = smooth(0.16, 0.66, shape) * smooth(0.05, 0.26, up)
  const lit = fractal(u * 0.55 + 8.0, v * 1.05 + 1.9, 4)
  const cloud = mixVec([0.66, 0.58, 0.66], [1.4, 1.12, 0.9], clamp(0.5 + lit * 0.9 + toSun * 0.4))
  return mixVec(colour, cloud, cover * 0.86)
}

/** Far mountains are painted, not marched: two ridges in haze. */
function backdrop(along: Vec): Vec {
  const clear = sky(along)
  const turn = Math.atan2(along[0], along[2])
  const rise = along[1] / Math.hypot(along[0], along[2])
  const farRidge = 0.17 + 0.085 * fractal(turn * 4.2 + 3.3, 1.5, 6) - 0.05 * Math.abs(turn - 0.1)
  const nearRidge = 0.105 + 0.06 * fractal(turn * 6.1 + 9.1, 7.5, 6)
  const facet = fractal(turn * 26, rise * 38, 5)
  if (rise < nearRidge) {
    const stone = mixVec([0.24, 0.3, 0.38], [0.42, 0.4, 0.4], clamp(0.5 + facet))
    return mixVec(stone, [0.86, 0.7, 0.58], smooth(nearRidge, nearRidge - 0.16, rise) * 0.55)
  }
  if (rise < farRidge) {
    const snow = smooth(farRidge - 0.055, farRidge, rise + facet * 0.03)
    const stone = mixVec([0.34, 0.42, 0.58], [0.56, 0.52, 0.56], clamp(0.5 + facet * 1.2))
    return mixVec(stone, [1.0, 0.88, 0.8], snow * clamp(0.6 + facet * 1.6) * 0.95)
  }
  return clear
}

const haze = (colour: Vec, distance: number, along: Vec): Vec => {
  const warmth = mixVec([0.66, 0.6, 0.58], [1.15, 0.82, 0.5], Math.pow(clamp(dot(along, SUN)), 1.5))
  return mixVec(colour, warmth, 1 - Math.exp(-Math.max(0, distance - 34) * 0.0019))
}

/** Courses of cut stone. */
function masonry(p: Vec): Vec {
  const course = Math.floor(p[1] / 0.42)
  const along = p[0] + p[2] + course * 0.37
  const joint = Math.min(Math.abs((p[1] / 0.42) % 1), Math.abs((along / 0.8) % 1))
  const tone =
    0.75 + 0.4 * hash(course, Math.floor(along / 0.8)) + 0.3 * fractal(p[0] * 4, p[1] * 4, 3)
  return scale([0.3, 0.27, 0.23], joint < 0.08 ? 0.45 : tone)
}

function landColour(field: Field, p: Vec): Vec {
  const e = 0.3
  const slopeX = (field.at(p[0] + e, p[2]) - field.at(p[0] - e, p[2])) / (2 * e)
  const slopeZ = (field.at(p[0], p[2] + e) - field.at(p[0], p[2] - e)) / (2 * e)
  const tree = field.treeAt(p[0], p[2])
  const grain = fractal(p[0] * 1.9, p[2] * 1.9, 4)
  const tuft = tree > 0.35 ? 6 : 0.3
  const needles = fractal((p[0] + p[2]) * 1.7, p[1] * 2.6, 4) * tuft
  const twigs = fractal((p[0] - p[2]) * 1.7 + 31, p[1] * 2.6, 4) * tuft
  const normal = unit([needles - slopeX, 1 + tuft * 0.3, twigs - slopeZ])
  const patch = clamp(0.5 + fractal(p[0] * 0.12, p[2] * 0.12, 3))
  const level = p[2] < WEIR_Z - 1 ? LOWER_LEVEL : UPPER_LEVEL
  const shore = smooth(level + 0.95, level + 0.5, p[1] + grain * 0.7)
  let albedo = mixVec([0.17, 0.2, 0.045], [0.34, 0.29, 0.08], clamp(patch + grain * 0.45))
  const pebble =
    0.55 + 0.9 * noise(p[0] * 3.3, p[2] * 3.3) * (0.6 + 0.8 * noise(p[0] * 9, p[2] * 9))
  albedo = mixVec(albedo, scale([0.3, 0.255, 0.2], pebble), shore)
  if (tree > 0.35) {
    const kind = hash(Math.floor(p[0] / 4.2) + 5, Math.floor(p[2] / 4.2) + 2)
    const needle = mixVec([0.03, 0.07, 0.04], [0.08, 0.11, 0.03], kind)
    const leaf = mixVec([0.34, 0.15, 0.02], [0.36, 0.25, 0.03], kind * 8 - 7)
    albedo = scale(kind > LEAFY ? leaf : needle, 0.8 + 0.45 * clamp(tree / 12) + grain * 0.9)
  }
  if (isMasonry(p[0], p[2])) albedo = masonry(p)
  const lit = march(field, add(p, normal, 0.35), SUN, [0.3, 170]) === 0 ? 1 : 0.08
  const sun = Math.max(0, dot(normal, SUN)) * lit * (tree > 0.35 ? 1.25 : 1)
  const glow = tree > 0.35 ? 0.16 * lit : 0.05 * lit
  const open = tree > 0.35 ? mix(0.35, 1, clamp(tree / 9)) : 1
  const light = add(scale(SUN_COLOUR, sun + glow), SKY_LIGHT, (0.5 + 0.5 * normal[1]) * open)
  return [albedo[0] * light[0], albedo[1] * light[1], albedo[2] * light[2]]
}

/** What a ray shows that does not meet water first. */
function world(field: Field, from: Vec, along: Vec, start: number): Vec {
  const t = march(field, from, along, [start, 330])
  if (t === 0) return backdrop(along)
  return haze(landColour(field, add(from, along, t)), t, along)
}

function water(field: Field, p: Vec, along: Vec, distance: number): Vec {
  const below = p[2] < WEIR_Z
  const fall = below ? Math.pow(smooth(13, 0, WEIR_Z - 2.2 - p[2]), 1.5) : 0
  const wave = (below ? 0.1 : 0.012) + fall * 0.16
  const stretch = below ? 0.55 : 0.3
  const dx = fractal(p[0] * 1.1, p[2] * stretch + 3, 5) + 0.5 * fractal(p[0] * 3.4, p[2] * 1.7, 3)
  const dz = fractal(p[0] * 1.1 + 40, p[2] * stretch, 5)
  const normal = unit([dx * wave, 1, dz * wave])
  const facing = clamp(-dot(along, normal))
  const fresnel = 0.03 + 0.97 * Math.pow(1 - facing, 5)
  const bounce = add(along, normal, 2 * facing)
  const mirrored = world(field, p, unit([bounce[0], Math.max(0.015, bounce[1]), bounce[2]]), 0.4)
  const shallow = smooth(-4, 0, beyondBank(p[0], p[2]))
  const deep = mixVec([0.02, 0.075, 0.08], [0.14, 0.13, 0.07], shallow * 0.7)
  let colour = mixVec(deep, mirrored, clamp(fresnel * 1.15 + (below ? 0.05 : 0.16)))
  const streak = fractal(p[0] * 0.9 + dx * 0.6, p[2] * 0.34, 5)
  const lace = 1 - Math.abs(fractal(p[0] * 0.8 + 11, p[2] * 0.5 + dx * 0.3, 5)) * 4.5
  const foam = below ? smooth(0.55 - fall * 0.92, 0.9 - fall * 0.4, streak + 0.3 * lace) : 0
  const edge = smooth(-0.7, -0.1, beyondBank(p[0], p[2]) + dx * 0.6) * 0.35
  const white: Vec = [0.98, 0.92, 0.86]
  colour = mixVec(
    colour,
    white,
    clamp(Math.max(foam * (0.25 + 0.7 * fall), below ? edge : edge * 0.3)),
  )
  return haze(colour, distance, along)
}

/** The sheet that falls over the crest: dark glass at the lip, white at the foot. */
function sheet(field: Field, p: Vec, along: Vec): Vec {
  const drop = clamp((UPPER_LEVEL - p[1]) / (UPPER_LEVEL - LOWER_LEVEL))
  const strands = fractal(p[0] * 2.6, p[1] * 0.35 + 5, 5) + 0.5 * fractal(p[0] * 9, p[1] * 1.2, 3)
  const white = clamp(smooth(0.02, 0.85, drop + strands * 0.55))
  const glass = mixVec([0.1, 0.2, 0.19], world(field, p, [along[0], 0.35, -0.6], 0.5), 0.3)
  const foam: Vec = scale([1.02, 0.95, 0.87], 0.72 + 0.3 * strands + 0.12 * drop)
  return mixVec(glass, foam, white)
}

/** Where a ray meets the river, if it does before it meets land: distance and which part. */
function river(along: Vec): { t: number; part: 'pool' | 'sheet' } | null {
  const wobble = (x: number): number => 0.5 * fractal(x * 0.5, 2, 3)
  const upper = along[1] < 0 ? (UPPER_LEVEL - EYE[1]) / along[1] : 0
  const upperPoint = add(EYE, along, upper)
  if (upper > 0 && upperPoint[2] > WEIR_Z) return { t: upper, part: 'pool' }
  for (let drop = 0; drop <= 1; drop += 0.02) {
    const y = mix(UPPER_LEVEL, LOWER_LEVEL, drop)
    const t = along[1] < 0 ? (y - EYE[1]) / along[1] : 0
    const p = add(EYE, along, t)
    if (t > 0 && p[2] > WEIR_Z - 2.6 * Math.sqrt(drop) + wobble(p[0]) * drop)
      return { t, part: 'sheet' }
  }
  const lower = along[1] < 0 ? (LOWER_LEVEL - EYE[1]) / along[1] : 0
  return lower > 0 ? { t: lower, part: 'pool' } : null
}

function pixel(field: Field, along: Vec): Vec {
  const hit = river(along)
  const land = march(field, EYE, along, [1, 330])
  if (hit === null || (land > 0 && land < hit.t)) {
    return land > 0 ? haze(landColour(field, add(EYE, along, land)), land, along) : backdrop(along)
  }
  const p = add(EYE, along, hit.t)
  return hit.part === 'sheet' ? sheet(field, p, along) : water(field, p, along, hit.t)
}

/** Film: filmic curve, a little vignette, gamma. */
function develop(colour: Vec, u: number, v: number): Vec {
  const vignette = 1 - 0.14 * (u * u + v * v)
  const curve = (x: number): number => {
    const e = x * 0.9 * vignette
    return Math.pow(clamp((e * (2.51 * e + 0.03)) / (e * (2.43 * e + 0.59) + 0.14)), 1 / 2.2)
  }
  return [curve(colour[0]), curve(colour[1]), curve(colour[2])]
}

function paint(): Buffer {
  const field = sampleField()
  const width = WIDTH * OVERSAMPLING
  const height = HEIGHT * OVERSAMPLING
  const pixels = Buffer.alloc(width * height * 3)
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const u = ((column + 0.5) / width) * 2 - 1
      const v = 1 - ((row + 0.5) / height) * 2
      const ahead = add(add(FORWARD, RIGHT, u * 0.62), UP, (v * 0.62 * HEIGHT) / WIDTH)
      const colour = develop(pixel(field, unit(ahead)), u, v)
      const i = (row * width + column) * 3
      const grain = (hash(column + 911, row + 353) - 0.5) * 0.045
      for (let c = 0; c < 3; c++) pixels[i + c] = Math.round(clamp((colour[c] ?? 0) + grain) * 255)
    }
  }
  return pixels
}

const target = process.argv[2] ?? 'examples/photo.jpg'
await sharp(paint(), {
  raw: { width: WIDTH * OVERSAMPLING, height: HEIGHT * OVERSAMPLING, channels: 3 },
})
  .resize(WIDTH, HEIGHT, { kernel: 'lanczos3' })
  .sharpen({ sigma: 0.5 })
  .jpeg({ quality: 88, mozjpeg: true })
  .toFile(target)
