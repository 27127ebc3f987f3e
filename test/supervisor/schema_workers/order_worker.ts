import { existsSync } from 'node:fs'
import { type } from 'arktype'
import { MetaWorker } from 'offstage'
import * as v from 'valibot'
import { z } from 'zod'

const order = z.object({
  id: z.coerce.number().int(),
  items: z.array(z.object({ price: z.number().min(0) })).default([]),
})

export default class OrderWorker extends MetaWorker {
  static override schemas = {
    charge: order,
    ship: v.pipe(
      v.string(),
      v.isoDate(),
      v.transform((text) => new Date(text)),
    ),
    cancel: type({ id: 'number.integer', 'reason?': 'string' }),
    reserve: z.string().refine(async (name) => !name.startsWith('taken')),
    note: z.string().optional(),
    exit: z.string().refine((text) => text !== 'exit' || process.exit(3)),
    broken: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate(): never {
          throw new RangeError('no table of prices')
        },
      },
    },
    chatty: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: unknown) => ({ issues: [{ message: `!${value}`, path: [`.${value}`] }] }),
      },
    },
    brokenLater: {
      '~standard': {
        version: 1,
        vendor: 'test',
        // What comes is nothing that Standard Schema knows.
        validate: async () => undefined as never,
      },
    },
  } as const

  readonly #ran: unknown[] = []

  charge({ id, items }: z.output<typeof order>): unknown {
    this.#ran.push(id)
    return { id, sum: items.reduce((sum, { price }) => sum + price, 0) }
  }

  ship(day: Date): number {
    return day.getTime()
  }

  cancel({ id }: { id: number }): number {
    return id
  }

  reserve(name: string): string {
    return name
  }

  note(text = 'nothing'): string {
    return text
  }

  exit(text: string): string {
    return text
  }

  broken(): void {
    this.#ran.push('broken')
  }

  chatty(): void {
    this.#ran.push('chatty')
  }

  brokenLater(): void {
    this.#ran.push('brokenLater')
  }

  plain(value: unknown): void {
    this.#ran.push(value)
  }

  ran(): unknown[] {
    return this.#ran
  }

  /** Lets nothing else run in its thread until there is a file. */
  block(file: string): void {
    while (!existsSync(file));
  }
}
