import { rename } from 'node:fs/promises'
import { MetaWorker } from 'offstage'
import sharp from 'sharp'

export interface Resize {
  /** Absolute paths: the worker runs in another process, maybe with another working directory. */
  source: string
  target: string
  /** The thumbnail fits into a square of this many pixels a side. */
  side: number
  /** Images that belong together count their progress under this cache key. */
  album: string
}

export interface Thumbnail {
  width: number
  height: number
  bytes: number
}

export default class ThumbnailWorker extends MetaWorker {
  static override workerName = 'thumbnail_worker'

  // sharp works in threads of its own, so the worker may have several images under way.
  static override concurrency = 4

  async resize({ source, target, side, album }: Resize): Promise<void> {
    // Written under another name first: a job that is interrupted and runs again finds no half a file.
    const { width, height, size } = await sharp(source)
      .resize({ width: side, height: side, fit: 'inside' })
      .webp()
      .toFile(`${target}.part`)
    await rename(`${target}.part`, target)
    const thumbnail: Thumbnail = { width, height, bytes: size }
    this.cache.set(this.jobKey!, thumbnail)
    this.cache.set(album, (this.cache.get<number>(album) ?? 0) + 1)
  }
}
