/** What the place of a job is computed from: the text that makes it one of its kind. docs/CLUSTER.md has the formula. */
export function placeKey(worker: string, workerKey: string, jobKey: string): string {
  return `${worker}\0${workerKey}\0${jobKey}`
}
