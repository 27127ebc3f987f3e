/**
 * Floor: echo through one thread. The main thread finds whole messages and passes a turn's messages on in
 * one postMessage; the thread decodes each with cbor-x, encodes its answer and posts a turn's answers back
 * in one; the main thread writes them in one. The same batching that offstage allows itself.
 */
import net, { type AddressInfo } from 'node:net'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { cbor, eachFrame, Reassembly, TurnBatch } from './frames.js'

if (isMainThread) serve()
else echo()

function serve(): void {
  const thread = new Worker(new URL(import.meta.url))
  const server = net.createServer({ noDelay: true }, (socket) => {
    const stream = new Reassembly()
    const toThread = new TurnBatch((batch) => thread.postMessage(batch, [batch.buffer as ArrayBuffer]))
    socket.on('data', (chunk: Buffer) => {
      const bytes = stream.join(chunk)
      const end = eachFrame(bytes, () => {})
      toThread.addFramed(bytes, 0, end)
      stream.keep(bytes, end)
    })
    thread.on('message', (batch: Uint8Array) => socket.write(batch))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => process.exit(0)) // the bench has one connection and is done with it
  })
  process.once('SIGTERM', () => process.exit(0))
  server.listen(0, '127.0.0.1', () => {
    console.log(`listening on 127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
}

function echo(): void {
  const toMain = new TurnBatch((batch) => parentPort!.postMessage(batch, [batch.buffer as ArrayBuffer]))
  const answer = (bytes: Buffer, start: number, end: number): void => {
    const [n, argument] = cbor.decode(bytes.subarray(start, end)) as [number, unknown]
    toMain.add([n, argument])
  }
  parentPort!.on('message', (batch: Uint8Array) => {
    eachFrame(Buffer.from(batch.buffer, batch.byteOffset, batch.length), answer)
  })
}
