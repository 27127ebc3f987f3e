/** The instance that a proxy stands for, and the servers that it may be on. */
import { InvalidArgument } from '../errors.js'
import { Call } from './call.js'
import type { Link } from './link.js'
import { show, text } from './options.js'
import type { Route } from './route.js'

export class Target {
  constructor(
    readonly route: Route,
    readonly worker: string,
    readonly workerKey: string,
  ) {}

  /** A call to it; throws when its name or key cannot be one. */
  call(verb: number, method = ''): Call {
    text(this.worker, 'the name of the worker')
    if (this.workerKey !== '') text(this.workerKey, 'the key of the worker')
    return new Call(verb, this.worker, this.workerKey, method)
  }
}

/** The server that the option `host` means, where that is not `'all'`. */
export function serverOf(route: Route, host: string): Link {
  const link = route.find(host)
  if (link !== undefined) return link
  const names = route.links.map(({ address }) => address.text).join(', ')
  throw new InvalidArgument(`host is ${show(host)}: it has to be 'all', 'local' or a configured server (${names})`)
}
