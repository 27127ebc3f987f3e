import { MetaWorker } from 'offstage'

/** What the application shows; the worker's cache keeps it under the report's id. */
export type Report =
  | { state: 'counting' }
  | { state: 'done'; words: number; different: number; favourites: { word: string; times: number }[] }

export default class ReportWorker extends MetaWorker {
  static override workerName = 'report_worker'

  /** Counts the words of a text. The job key is the report's id. */
  async countWords(text: string): Promise<void> {
    this.#show({ state: 'counting' })
    const times = new Map<string, number>()
    let words = 0
    for (const [word] of text.toLowerCase().matchAll(/[\p{Letter}\p{Number}]+/gu)) {
      times.set(word, (times.get(word) ?? 0) + 1)
      words++
    }
    const favourites = [...times]
      .map(([word, count]) => ({ word, times: count }))
      .sort((a, b) => b.times - a.times || a.word.localeCompare(b.word))
      .slice(0, 3)
    this.#show({ state: 'done', words, different: times.size, favourites })
  }

  #show(report: Report): void {
    this.cache.set(this.jobKey!, report)
  }
}
