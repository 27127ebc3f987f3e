/**
 * Which fields of an instance `create` has set. In a pool thread `create` does not run, so there these fields
 * throw when they are read, instead of being undefined and failing somewhere else.
 */
import { InvalidArgument } from '../../errors.js'

/** Own fields and their values. */
export function fieldsOf(instance: object): Map<string, unknown> {
  return new Map(Object.entries(instance))
}

/** Names of the fields that are new, or have another value than in `before`. */
export function fieldsSetSince(before: ReadonlyMap<string, unknown>, instance: object): string[] {
  return Object.entries(instance)
    .filter(([name, value]) => !Object.is(before.get(name), value))
    .map(([name]) => name)
}

/** Reading one of these fields throws, until the code in the pool has set it itself. */
export function guardFields(instance: object, names: readonly string[], method: string): void {
  for (const name of names) {
    Object.defineProperty(instance, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        throw new InvalidArgument(
          `this.${name} is not there in the pool thread that runs ${method}: create set it in the worker, and create ` +
            `does not run in pool threads. Give ${method} what it needs as its argument, or make it there`,
        )
      },
      set: (value: unknown) =>
        Object.defineProperty(instance, name, { configurable: true, enumerable: true, writable: true, value }),
    })
  }
}
