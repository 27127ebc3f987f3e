/** `middleMan`: the one client of a process, for applications that have no place where they would make one. */
import { isDeepStrictEqual } from 'node:util'
import { InvalidArgument } from '../errors.js'
import { checkLazyOptions, type LazyOptions, lazyOptions } from './connect-options.js'
import { LazyConnection } from './lazy.js'
import { client, type MiddleMan } from './middleman.js'
import { Route } from './route.js'

export interface SharedMiddleMan extends MiddleMan {
  /**
   * What `MiddleMan.lazy` takes, in place of the configuration file. To be called before the first call; later it throws
   * `InvalidArgument`, unless it says the same again, as a module does that a development server loads anew.
   */
  configure(options: LazyOptions): void
}

function share(): SharedMiddleMan {
  let options: LazyOptions = {}
  const connection = new LazyConnection(() => lazyOptions(options))
  const shared = client(new Route(() => connection.cluster), (timeout) => connection.close(timeout))
  return Object.assign(shared, {
    configure(wanted: LazyOptions): void {
      const same = isDeepStrictEqual(checkLazyOptions(wanted), options)
      if (connection.open && !same) {
        throw new InvalidArgument(
          'middleMan is connected already: call middleMan.configure before the first call, or await middleMan.close() first',
        )
      }
      options = { ...wanted }
    },
  })
}

/** Bundlers and development servers may load this module more than once in a process: all copies find the first one's. */
const KEY = Symbol.for('offstage.middleMan')
const processWide = globalThis as { [KEY]?: SharedMiddleMan }

/**
 * One connection for the whole process. Nothing happens at import: the configuration is read and the connection made when
 * the first call is. It does not keep the process alive while no call is under way.
 */
export const middleMan: SharedMiddleMan = processWide[KEY] ?? share()
processWide[KEY] = middleMan
