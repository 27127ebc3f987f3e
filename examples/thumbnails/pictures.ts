/** Pictures to make smaller, drawn here so that the example brings no binary files. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import sharp, { type Sharp } from 'sharp'

export interface Picture {
  readonly file: string
  readonly width: number
  readonly height: number
}

const PICTURES: readonly Picture[] = [
  { file: 'dawn.jpg', width: 1600, height: 900 },
  { file: 'forest.jpg', width: 900, height: 1600 },
  { file: 'harbour.png', width: 1200, height: 1200 },
  { file: 'meadow.jpg', width: 2000, height: 500 },
  { file: 'night.png', width: 320, height: 240 },
]

export async function drawPictures(folder: string): Promise<readonly Picture[]> {
  await mkdir(folder, { recursive: true })
  await Promise.all(PICTURES.map((picture, at) => draw(picture, at * 70).toFile(path.join(folder, picture.file))))
  return PICTURES
}

/** A sky in two colours with a sun in it. `hue` in degrees. */
function draw({ width, height }: Picture, hue: number): Sharp {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <linearGradient id="sky" x2="0" y2="1">
      <stop stop-color="hsl(${hue}, 70%, 30%)"/><stop offset="1" stop-color="hsl(${hue + 40}, 80%, 75%)"/>
    </linearGradient>
    <rect width="100%" height="100%" fill="url(#sky)"/>
    <circle cx="70%" cy="40%" r="12%" fill="hsl(50, 100%, 85%)"/>
  </svg>`
  return sharp(Buffer.from(svg))
}
