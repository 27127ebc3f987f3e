/**
 * All jobs by id. Ids grow by one, so pages of consecutive ids beat a hash table in memory and in time,
 * and walking them gives the jobs in the order of their ids.
 */
import type { Job } from './job.js'

const PAGE_BITS = 10
const PAGE_SIZE = 1 << PAGE_BITS

interface Page {
  readonly number: number
  readonly jobs: (Job | undefined)[]
  used: number
}

export class JobTable {
  readonly #pages = new Map<number, Page>()
  /** Page numbers, ascending unless a page came back below the highest one. */
  #order: number[] = []
  #sorted = true
  /** The page used last: jobs come and go in runs of neighbouring ids. */
  #last: Page | undefined
  /** The page of the newest ids. It stays when it is empty, because the next job will need it. */
  #newest: Page | undefined

  get(id: number): Job | undefined {
    return this.#page(Math.floor(id / PAGE_SIZE))?.jobs[id % PAGE_SIZE]
  }

  set(job: Job): void {
    const number = Math.floor(job.id / PAGE_SIZE)
    const page = this.#page(number) ?? this.#addPage(number)
    const slot = job.id % PAGE_SIZE
    if (page.jobs[slot] === undefined) page.used++
    page.jobs[slot] = job
  }

  delete(id: number): void {
    const page = this.#page(Math.floor(id / PAGE_SIZE))
    const slot = id % PAGE_SIZE
    if (page?.jobs[slot] === undefined) return
    page.jobs[slot] = undefined
    page.used--
    if (page !== this.#newest) this.#dropIfEmpty(page)
  }

  /** All jobs, in the order of ids. */
  each(visit: (job: Job) => void): void {
    for (const number of this.#numbers()) {
      for (const job of this.#pages.get(number)?.jobs ?? []) if (job !== undefined) visit(job)
    }
  }

  /** The jobs with an id above `after`, in the order of ids. */
  *above(after: number): Generator<Job> {
    for (const number of this.#numbers()) {
      if ((number + 1) * PAGE_SIZE <= after) continue
      for (const job of this.#pages.get(number)?.jobs ?? []) if (job !== undefined && job.id > after) yield job
    }
  }

  #page(number: number): Page | undefined {
    if (number === this.#last?.number) return this.#last
    const page = this.#pages.get(number)
    if (page !== undefined) this.#last = page
    return page
  }

  #addPage(number: number): Page {
    const page: Page = { number, jobs: new Array<Job | undefined>(PAGE_SIZE).fill(undefined), used: 0 }
    this.#pages.set(number, page)
    this.#last = page
    this.#order.push(number)
    if (this.#newest !== undefined && number < this.#newest.number) this.#sorted = false
    else {
      const before = this.#newest
      this.#newest = page
      if (before !== undefined) this.#dropIfEmpty(before)
    }
    return page
  }

  #dropIfEmpty(page: Page): void {
    if (page.used > 0) return
    this.#pages.delete(page.number)
    if (this.#last === page) this.#last = undefined
  }

  /** Numbers that may have a page. Those of dropped pages leave the list here, not one by one. */
  #numbers(): readonly number[] {
    if (!this.#sorted || this.#order.length > 2 * this.#pages.size + 16) {
      this.#order = [...this.#pages.keys()].sort((a, b) => a - b)
      this.#sorted = true
    }
    return this.#order
  }
}
