import { MetaWorker, TcpHandler } from 'offstage'

/** The side that listens: one instance for each connection. */
class Shouts extends TcpHandler<SocketWorker> {
  override postInit() {
    this.worker.guests++
  }

  override receiveData(data: Buffer) {
    return this.sendData(data.toString().toUpperCase())
  }
}

/** The side that connects. */
class Says extends TcpHandler<SocketWorker> {
  override connectionCompleted() {
    return this.sendData('hello')
  }

  override receiveData(data: Buffer) {
    this.worker.cache.set('heard', data.toString())
    this.close()
  }
}

export default class SocketWorker extends MetaWorker {
  static override workerName = 'socket_worker'
  guests = 0

  async talk(): Promise<number> {
    const server = await this.startServer('127.0.0.1', 0, Shouts)
    await this.connect(server.host, server.port, Says)
    server.close()
    return server.port
  }

  count(): number {
    return this.guests
  }
}
