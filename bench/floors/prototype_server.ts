/**
 * Floor: the bare prototype of a durable enqueue. The main thread decodes each message with cbor-x and
 * hands a turn's messages to a thread; the thread takes all that wait for it, appends them in one write,
 * calls fdatasync, and only then are they answered. No queue, no keys, no checksums.
 *
 * A message is `[n, job]` or `[n, [job, job…]]`, its answer `[n, how many jobs]`. Arguments: the file to write, and
 * `inline` to write and sync in the main thread: no hop, but nothing else can happen meanwhile. With one in flight that is
 * the most that any server can give.
 */
import fs from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { isMainThread, parentPort, receiveMessageOnPort, Worker, workerData } from 'node:worker_threads'
import { cbor, eachFrame, Reassembly, TurnBatch } from './frames.js'

if (isMainThread) serve(process.argv[2]!, process.argv[3] === 'inline')
else append(workerData as string)

/** What takes a turn's messages and tells how many turns are on disk. */
interface Disk {
  append(batch: Uint8Array): void
  onSynced(heard: (turns: number) => void): void
}

function threadDisk(file: string): Disk {
  const thread = new Worker(new URL(import.meta.url), { workerData: file })
  return {
    append: (batch) => thread.postMessage(batch, [batch.buffer as ArrayBuffer]),
    onSynced: (heard) => thread.on('message', heard),
  }
}

function inlineDisk(file: string): Disk {
  const fd = fs.openSync(file, 'wx')
  let tell: (turns: number) => void
  return {
    append(batch) {
      writeSynced(fd, batch, file)
      tell(1)
    },
    onSynced(heard) {
      tell = heard
    },
  }
}

function serve(file: string, inline: boolean): void {
  const disk = inline ? inlineDisk(file) : threadDisk(file)
  const server = net.createServer({ noDelay: true }, (socket) => {
    const stream = new Reassembly()
    const answers = new TurnBatch((batch) => socket.write(batch))
    /** Answers by turn, oldest first; the thread says how many turns are on disk. */
    const unsynced: [number, number][][] = []
    let turn: [number, number][] = []

    const toDisk = new TurnBatch((batch) => {
      unsynced.push(turn)
      turn = []
      disk.append(batch)
    })
    const decode = (bytes: Buffer, start: number, end: number): void => {
      const [n, message] = cbor.decode(bytes.subarray(start, end)) as [number, unknown]
      turn.push([n, Array.isArray(message) ? message.length : 1])
    }
    socket.on('data', (chunk: Buffer) => {
      const bytes = stream.join(chunk)
      const end = eachFrame(bytes, decode)
      if (end > 0) toDisk.addFramed(bytes, 0, end)
      stream.keep(bytes, end)
    })
    disk.onSynced((turns) => {
      for (const synced of unsynced.splice(0, turns)) for (const answer of synced) answers.add(answer)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => process.exit(0)) // the bench has one connection and is done with it
  })
  process.once('SIGTERM', () => process.exit(0))
  server.listen(0, '127.0.0.1', () => {
    console.log(`listening on 127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
}

function append(file: string): void {
  const fd = fs.openSync(file, 'wx')
  parentPort!.on('message', (first: Uint8Array) => {
    const batches = [first]
    for (let more = receiveMessageOnPort(parentPort!); more; more = receiveMessageOnPort(parentPort!)) {
      batches.push(more.message as Uint8Array)
    }
    const bytes = batches.length === 1 ? first : Buffer.concat(batches)
    writeSynced(fd, bytes, file)
    parentPort!.postMessage(batches.length)
  })
}

function writeSynced(fd: number, bytes: Uint8Array, file: string): void {
  if (fs.writeSync(fd, bytes) !== bytes.length) throw new Error(`${file}: a short write`)
  fs.fdatasyncSync(fd)
}
