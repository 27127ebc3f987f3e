/** A PostgreSQL for one run: a cluster of its own, as safe as it is out of the box. */
import { spawnSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import path from 'node:path'
import { Daemon, freePort } from './daemon.js'
import { installPackages, postgresPrograms } from './install.js'
import type { PeerModules, PostgresClient } from './modules.js'
import type { PeerFolders } from './peer.js'

/** What durability rests on; all are its defaults, and asked of the running server. */
const DURABLE = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' } as const
/** Room enough that no checkpoint comes into the run: it would take the disk from whoever's turn it is. */
const ROOM = { shared_buffers: '512MB', max_wal_size: '8GB', checkpoint_timeout: '30min' } as const

export class PostgresServer {
  readonly connectionString: string
  readonly client: PostgresClient
  readonly #daemon: Daemon

  private constructor(daemon: Daemon, connectionString: string, client: PostgresClient) {
    this.#daemon = daemon
    this.connectionString = connectionString
    this.client = client
  }

  static async start({ installed, data }: PeerFolders, modules: PeerModules): Promise<PostgresServer> {
    installPackages(installed)
    const programs = postgresPrograms(installed)
    const owner = process.getuid?.() === 0 ? unprivileged() : undefined
    if (owner !== undefined) chownSync(data, owner.uid, owner.gid)
    const cluster = path.join(data, 'cluster')
    initialize(path.join(programs, 'initdb'), cluster, owner)

    const port = await freePort()
    const settings = Object.entries({ ...DURABLE, ...ROOM }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const connectionString = `postgres://postgres@127.0.0.1:${port}/postgres`
    const daemon = await Daemon.start({
      ...owner,
      file: path.join(programs, 'postgres'),
      args: ['-D', cluster, '-h', '127.0.0.1', '-p', String(port), '-k', '', ...settings],
      log: path.join(data, 'postgres.log'),
      stopSignal: 'SIGQUIT',
      ready: async () => (await connect(modules, connectionString)).end(),
    })
    return new PostgresServer(daemon, connectionString, await connect(modules, connectionString))
  }

  async describe(): Promise<string> {
    const settings: string[] = []
    for (const [name, wanted] of Object.entries(DURABLE)) {
      const value = await this.show(name)
      if (value !== wanted) throw new Error(`PostgreSQL runs with ${name} ${value}, not ${wanted}`)
      settings.push(`${name} ${value}`)
    }
    for (const name of ['wal_sync_method', ...Object.keys(ROOM)]) settings.push(`${name} ${await this.show(name)}`)
    return `PostgreSQL ${await this.show('server_version')}: ${settings.join(', ')}`
  }

  async show(setting: string): Promise<string> {
    const { rows } = await this.client.query(`SHOW ${setting}`)
    return rows[0]![setting]!
  }

  async stop(): Promise<void> {
    await this.client.end()
    await this.#daemon.stop()
  }
}

async function connect({ pg }: PeerModules, connectionString: string): Promise<PostgresClient> {
  const client = new pg.Client({ connectionString })
  // A connection that breaks is told by the query that was on it.
  client.on('error', () => {})
  await client.connect()
  return client
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): Owner {
  const id = (flag: string) => Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout)
  const [uid, gid] = [id('-u'), id('-g')]
  if (!(uid > 0)) throw new Error('PostgreSQL does not run as root, and there is no user nobody to run it as')
  return { uid, gid }
}

function initialize(initdb: string, cluster: string, owner: Owner | undefined): void {
  const args = ['-D', cluster, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-instructions']
  const { status, error, stderr } = spawnSync(initdb, args, { ...owner, cwd: '/', encoding: 'utf8' })
  if (status === 0) return
  const as = owner === undefined ? '' : ` as user nobody, who must be able to enter its folder and ${cluster}`
  throw new Error(`${initdb} failed${as}: ${error?.message ?? stderr.trim()}`)
}
