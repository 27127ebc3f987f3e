import { setImmediate } from 'node:timers/promises'
import { MetaWorker } from 'offstage'

/** Words between two moments in which the signal can be heard. */
const PAUSE_AFTER = 1_000

/** What the application shows; the worker's cache keeps it under the report's id. */
export type Report =
  | { state: 'counting' }
  | { state: 'done'; words: number; different: number; favourites: { word: string; times: number }[] }

export default class ReportWorker extends MetaWorker {
  static override workerName = 'report_worker'

  /** Counts the words of a text. The job key is the report's id. */
  async countWords(text: string): Promise<void> {
    this.cache.set(this.jobKey!, { state: 'counting' })
    this.cache.set(this.jobKey!, await this.count(text))
  }

  /** The same for who waits for it, and only as long as somebody does. */
  async count(text: string): Promise<Report> {
    const times = new Map<string, number>()
    let words = 0
    for (const [word] of text.toLowerCase().matchAll(/[\p{Letter}\p{Number}]+/gu)) {
      times.set(word, (times.get(word) ?? 0) + 1)
      if (++words % PAUSE_AFTER === 0) await setImmediate()
      this.signal.throwIfAborted()
    }
    const favourites = [...times]
      .map(([word, count]) => ({ word, times: count }))
      .sort((a, b) => b.times - a.times || a.word.localeCompare(b.word))
      .slice(0, 3)
    return { state: 'done', words, different: times.size, favourites }
  }
}
