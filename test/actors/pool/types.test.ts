/** What `defer` lets through: checked by the compiler, which compiles this file. */
import { MetaWorker } from 'offstage/actors'
import { testWorker } from 'offstage/testing'
import t from 'tap'

interface Picture {
  file: string
  size: 'big' | 'small'
}

class W extends MetaWorker {
  field = 3

  square(n: number): number {
    return n * n
  }

  async shrink(picture: Picture): Promise<Picture> {
    return { ...picture, size: 'small' }
  }

  nothing(): void {
    this.logger.debug('nothing')
  }

  optional(n = 5): number {
    return n
  }

  async all(): Promise<[number, string, number]> {
    const nine: number = await this.threadPool.defer('square', 3)
    const shrunk: Picture = await this.threadPool.defer('shrink', { file: 'a', size: 'big' })
    await this.threadPool.defer('nothing')
    const five = await this.threadPool.defer('optional')
    const squares: number[] = await Promise.all([1, 2].map((n) => this.threadPool.defer('square', n)))
    return [nine + five + squares.length, shrunk.size, await this.threadPool.defer('optional', 6)]
  }

  /** Never called. */
  wrong(): unknown[] {
    return [
      // @ts-expect-error the argument is a number
      this.threadPool.defer('square', 'three'),
      // @ts-expect-error the argument is missing
      this.threadPool.defer('square'),
      // @ts-expect-error there is no such size
      this.threadPool.defer('shrink', { file: 'a', size: 'huge' }),
      // @ts-expect-error there is no such method
      this.threadPool.defer('squar', 3),
      // @ts-expect-error it is no method
      this.threadPool.defer('field'),
      // @ts-expect-error it is for the start of a worker
      this.threadPool.defer('create'),
      // @ts-expect-error every worker has it, and it belongs to the worker's own thread
      this.threadPool.defer('addTimer', 1),
    ]
  }
}

t.test('names, arguments and results have the types of the methods', async (t) => {
  const run = await testWorker(W)
  t.same(await run.call('all'), [16, 'small', 6])
  await run.close()
})
