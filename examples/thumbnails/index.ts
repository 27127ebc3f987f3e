/**
 * Makes thumbnails of a folder of pictures: one durable job for each picture, progress and results from the
 * worker's cache. Run it with `npm run example:thumbnails`.
 */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import sharp from 'sharp'
import { poll } from '../poll.js'
import { findServer } from '../server.js'
import { drawPictures } from './pictures.js'
import type ThumbnailWorker from './workers/thumbnail_worker.js'
import type { Thumbnail } from './workers/thumbnail_worker.js'

const SIDE = 160
const originals = path.resolve('build/thumbnails/originals')
const thumbnails = path.resolve('build/thumbnails/small')

const pictures = await drawPictures(originals)
await mkdir(thumbnails, { recursive: true })

const server = await findServer(new URL('workers/', import.meta.url))
const middleMan = await MiddleMan.connect({ client: server.address })
const worker = middleMan.worker<ThumbnailWorker>('thumbnail_worker')

// Job keys and cache keys of this run, so that it is not given the results of the last one.
const album = randomUUID()
const keyOf = (file: string) => `${album}/${file}`
const targetOf = (file: string) => path.join(thumbnails, `${path.parse(file).name}.webp`)

// Once this has resolved, every job is on disk: a crash of the server, or of this program, loses none.
await Promise.all(
  pictures.map(({ file }) =>
    worker.enqResize({
      arg: { source: path.join(originals, file), target: targetOf(file), side: SIDE, album },
      jobKey: keyOf(file),
    }),
  ),
)
console.log(`enqueued ${pictures.length} pictures`)

await poll('the thumbnails', async () => {
  const done = ((await worker.askResult(album)) as number | null) ?? 0
  if (process.stdout.isTTY) process.stdout.write(`\r${done} of ${pictures.length} done `)
  return done === pictures.length ? done : null
})
if (process.stdout.isTTY) process.stdout.write('\n')

for (const { file, width, height } of pictures) {
  const thumbnail = (await worker.askResult(keyOf(file))) as Thumbnail
  const { format, ...seen } = await sharp(targetOf(file)).metadata()
  if (
    seen.width !== thumbnail.width ||
    seen.height !== thumbnail.height ||
    Math.max(seen.width, seen.height) !== SIDE
  ) {
    throw new Error(`${targetOf(file)} is ${seen.width}×${seen.height}, the worker said ${JSON.stringify(thumbnail)}`)
  }
  console.log(
    `${file}: ${width}×${height} → ${thumbnail.width}×${thumbnail.height} ${format}, ${thumbnail.bytes} bytes`,
  )
}

await middleMan.close()
await server.stop()
