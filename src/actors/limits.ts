/** How long the methods of a worker may run, by `static timeouts` and `static timeout`. */
import type { WorkerDescription } from './description.js'

/** Milliseconds for each method that has a limit. */
export function limitsOf(worker: Pick<WorkerDescription, 'methods' | 'timeout' | 'timeouts'>): Map<string, number> {
  const own = new Map(Object.entries(worker.timeouts))
  const limits = new Map<string, number>()
  for (const method of worker.methods) {
    const limit = own.get(method) ?? worker.timeout
    if (limit > 0) limits.set(method, limit)
  }
  return limits
}

/** Of two limits, of which 0 or none stands for any time. */
export function shorter(one: number, other = 0): number {
  return one === 0 || other === 0 ? one + other : Math.min(one, other)
}
