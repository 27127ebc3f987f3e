/** What every request of a client takes. */
export interface RequestOptions {
  /** Milliseconds until the caller gives up; a method that is called sees it too, a job of the queue does not. */
  timeout?: number | undefined
  /** Aborting it rejects with `Cancelled`; a method that is called sees it too, a job of the queue does not. */
  signal?: AbortSignal | undefined
}
