/** The key of the job that is a firing: its method, and the time that it is for. */
import type { Target } from './plan.js'

export function keyOf({ method }: Pick<Target, 'method'>, at: number): string {
  return `${method}@${new Date(at).toISOString()}`
}

/** Undefined for a job that is no firing. */
export function timeOf({ method, jobKey }: { method: string; jobKey: string }): number | undefined {
  if (!jobKey.startsWith(`${method}@`)) return undefined
  const at = Date.parse(jobKey.slice(method.length + 1))
  return Number.isNaN(at) ? undefined : at
}
