/**
 * `TcpHandler`, the class that handlers of TCP connections extend. There is one instance for each connection, made by
 * `connect` or `startServer` of a worker, and its methods run as turns of that worker: never beside a message or a timer.
 */
import { InvalidArgument } from '../../errors.js'

/** The connection, as its handler sees it. */
export interface HandlerLink {
  readonly worker: object
  /** `address:port` of the other side. */
  readonly peer: string
  send(data: string | Uint8Array): Promise<boolean>
  close(): void
}

export class TcpHandler<W extends object = object> {
  readonly #link: HandlerLink

  constructor() {
    this.#link = takeLink(new.target.name)
  }

  /** The worker that the connection belongs to. */
  get worker(): W {
    return this.#link.worker as W
  }

  /** `address:port` of the other side. */
  get peer(): string {
    return this.#link.peer
  }

  /** The first turn of each connection. */
  postInit(): unknown {
    return undefined
  }

  /** After `postInit`, where the worker has connected to somebody else. */
  connectionCompleted(): unknown {
    return undefined
  }

  /**
   * Takes what has come since it ended the last time, however the other side has cut it. Until it ends nothing more is
   * read, and the other side has to wait.
   */
  receiveData(_data: Buffer): unknown {
    return undefined
  }

  /** The last turn: the connection is over. `reason` is there when neither side has closed it in good order. */
  unbind(_reason?: Error): unknown {
    return undefined
  }

  /**
   * Sends text (as UTF-8) or bytes, which must not be changed afterwards. Resolves to true when the other side keeps up, so
   * that more is welcome; to false when the connection is over. Waiting for it is a matter of speed only: while 1 MiB is
   * unsent nothing is read from this connection, and one with more than 64 MiB is ended with `Overloaded` as its reason.
   */
  sendData(data: string | Uint8Array): Promise<boolean> {
    return this.#link.send(data)
  }

  /** Ends the connection, once all is sent. Nothing is received any more; `unbind` follows. */
  close(): void {
    this.#link.close()
  }
}

export type TcpHandlerClass<H extends TcpHandler = TcpHandler> = new () => H

let waiting: HandlerLink | undefined

/** Calls the constructor with the link at hand, so that it is there for field initializers too. */
export function makeHandler<H extends TcpHandler>(Handler: TcpHandlerClass<H>, link: HandlerLink): H {
  waiting = link
  try {
    return new Handler()
  } finally {
    waiting = undefined
  }
}

function takeLink(className: string): HandlerLink {
  const link = waiting
  waiting = undefined
  if (link !== undefined) return link
  throw new InvalidArgument(
    `new ${className}() has no connection: give the class to connect or startServer of a worker, which make an instance ` +
      'for each connection',
  )
}
