/** The type of `this.threadPool`. */

/** For types only: what the worker is. */
declare const WORKER: unique symbol

/** Written out, so that `'small'` and `{ size: 'small' }` keep their types on their way to the method. */
type Argument =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | object
  | Argument[]
  | { [key: string]: Argument }

type Result<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never

/** `Base` has what every worker has, and what cannot be deferred. */
export interface ThreadPool<out T, Base> {
  readonly [WORKER]?: T

  /**
   * Runs a method of the same class in a thread of the pool, beside everything else, on an instance whose
   * `create` has not run: there are no fields that `create` has set, no timers, sockets or `threadPool`. `jobKey`,
   * `persistentJob`, `signal`, `deadline`, `cache` and `logger` are those of the call that defers.
   *
   * Argument and result are copied by structured clone. Rejects with what the method throws (name, message, code
   * and stack are kept), with `WorkerCrashed` when its thread ends, and with `InvalidArgument` for what cannot be
   * sent. A failure that nobody waits for is logged.
   */
  defer<M extends keyof T & string, const A extends [argument?: Argument]>(
    this: ThreadPool<Record<M, (...argument: NoInfer<A>) => unknown>, Base>,
    method: M extends keyof Base ? never : M,
    ...argument: A
  ): Promise<Result<T[M]>>
}
