/**
 * A client of beanstalkd's text protocol, no more of it than the bench needs: one connection and one tube, many
 * commands on their way at once (answers come in the order of the commands), one write for all that were sent in one
 * turn of the event loop.
 */
import { once } from 'node:events'
import net from 'node:net'

const END = '\r\n'
/** Seconds a worker may take over a job. */
const TIME_TO_RUN = 600
/** `<word> … <bytes>`: these answers have a body of that many bytes behind them. */
const WITH_BODY = /^(?:RESERVED|OK) (?:\d+ )?(\d+)$/

interface Answer {
  readonly line: string
  readonly body: string
}

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

export class BeanstalkClient {
  readonly #socket: net.Socket
  readonly #waiting: Waiting[] = []
  /** Answers given so far, of `#waiting`: shifting an array of a thousand each time would be the bench's own cost. */
  #answered = 0
  #outgoing = ''
  #incoming = ''

  private constructor(socket: net.Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#read(text))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('beanstalkd closed the connection')))
  }

  static async connect(port: number, tube: string): Promise<BeanstalkClient> {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
    await once(socket, 'connect')
    const client = new BeanstalkClient(socket)
    expectWord(await client.#send(`use ${tube}`), 'USING')
    expectWord(await client.#send(`watch ${tube}`), 'WATCHING')
    return client
  }

  /** Resolves when the job is in the tube, and in the log when the server keeps one. Ready in `delay` whole seconds. */
  async put(body: string, delay = 0): Promise<void> {
    expectWord(await this.#send(`put 0 ${delay} ${TIME_TO_RUN} ${body.length}${END}${body}`), 'INSERTED')
  }

  /** The next job of the tube, or undefined when none is ready within `seconds`, for which the connection is blocked. */
  async reserve(seconds = 0): Promise<{ id: string; body: string } | undefined> {
    const { line, body } = await this.#send(`reserve-with-timeout ${seconds}`)
    if (line === 'TIMED_OUT') return undefined
    return { id: expectWord({ line, body }, 'RESERVED').split(' ')[1]!, body }
  }

  async delete(id: string): Promise<void> {
    expectWord(await this.#send(`delete ${id}`), 'DELETED')
  }

  /** Of the server, or of a tube. */
  async stats(tube?: string): Promise<Map<string, string>> {
    const answer = await this.#send(tube === undefined ? 'stats' : `stats-tube ${tube}`)
    expectWord(answer, 'OK')
    const lines = answer.body.split('\n').filter((line) => line.includes(': '))
    return new Map(lines.map((line) => [line.split(': ')[0]!, line.slice(line.indexOf(': ') + 2).replaceAll('"', '')]))
  }

  close(): void {
    this.#socket.destroy()
  }

  #send(command: string): Promise<Answer> {
    if (this.#outgoing === '') {
      setImmediate(() => {
        this.#socket.write(this.#outgoing, 'latin1')
        this.#outgoing = ''
      })
    }
    this.#outgoing += command + END
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #read(text: string): void {
    this.#incoming += text
    let at = 0
    for (;;) {
      const lineEnd = this.#incoming.indexOf(END, at)
      if (lineEnd === -1) break
      const line = this.#incoming.slice(at, lineEnd)
      const bodyStart = lineEnd + END.length
      const bodyBytes = Number(WITH_BODY.exec(line)?.[1] ?? -1)
      const end = bodyBytes === -1 ? bodyStart : bodyStart + bodyBytes + END.length
      if (end > this.#incoming.length) break
      this.#answer({ line, body: bodyBytes === -1 ? '' : this.#incoming.slice(bodyStart, bodyStart + bodyBytes) })
      at = end
    }
    this.#incoming = this.#incoming.slice(at)
  }

  #answer(answer: Answer): void {
    const waiting = this.#waiting[this.#answered++]
    if (waiting === undefined) throw new Error(`beanstalkd answered ${answer.line} to nothing`)
    waiting.resolve(answer)
    if (this.#answered === this.#waiting.length || this.#answered > 1000) {
      this.#waiting.splice(0, this.#answered)
      this.#answered = 0
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(this.#answered)) reject(error)
  }
}

function expectWord({ line }: Answer, word: string): string {
  if (line !== word && !line.startsWith(`${word} `)) throw new Error(`beanstalkd answered ${line} instead of ${word}`)
  return line
}
