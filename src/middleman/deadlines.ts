/**
 * Deadlines of calls, at a fraction of what a timer for each would cost: calls with the same time limit expire in
 * the order in which they began, so one list and one timer do for all of them.
 */

/** What can be on a list; the fields are the list's. */
export interface Limited {
  readonly limit: number
  /** Monotonic milliseconds. */
  deadline: number
  earlier: Limited | undefined
  later: Limited | undefined
  list: DeadlineList | undefined
  /** Its time is up; it is off the list already. */
  expire(): void
}

export class DeadlineList {
  first: Limited | undefined = undefined
  last: Limited | undefined = undefined
  timer: NodeJS.Timeout
  /** The timer keeps the process running while there is a call to expire. */
  held = true

  constructor(limit: number) {
    this.timer = setTimeout(fire, limit, this, limit)
  }
}

const lists = new Map<number, DeadlineList>()

export function startDeadline(call: Limited): void {
  let list = lists.get(call.limit)
  if (list === undefined) {
    list = new DeadlineList(call.limit)
    lists.set(call.limit, list)
  }
  call.deadline = performance.now() + call.limit
  call.list = list
  call.earlier = list.last
  if (list.last === undefined) {
    list.first = call
    if (!list.held) {
      list.held = true
      list.timer.ref()
    }
  } else list.last.later = call
  list.last = call
}

export function stopDeadline(call: Limited): void {
  const { list, earlier, later } = call
  if (list === undefined) return
  if (earlier === undefined) list.first = later
  else earlier.later = later
  if (later === undefined) list.last = earlier
  else later.earlier = earlier
  call.list = undefined
  call.earlier = undefined
  call.later = undefined
  if (list.first === undefined) {
    list.held = false
    list.timer.unref()
  }
}

function fire(list: DeadlineList, limit: number): void {
  const now = performance.now()
  for (let call = list.first; call !== undefined && call.deadline <= now; call = list.first) {
    stopDeadline(call)
    call.expire()
  }
  // A call that was answered left its timer behind: it fires for the next one in the list, or for none.
  const { first } = list
  if (first === undefined) {
    lists.delete(limit)
    return
  }
  list.timer = setTimeout(fire, Math.max(1, Math.ceil(first.deadline - now)), list, limit)
}
