/**
 * One process per folder, by `flock` on the file LOCK. The lock belongs to our open file: the helper that
 * takes it can end, child processes do not keep it, and the kernel frees it when we die, however we die.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { ConfigurationError, StoreError } from '../../errors.js'

/** EX_TEMPFAIL of sysexits.h. */
const LOCKED_EXIT_CODE = 75

/** `f_type` of statfs(2) for file systems that other machines write to, too. */
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
])

/** Returns the function that frees the lock. */
export function lockFolder(folder: string): () => void {
  const path = `${folder}/LOCK`
  const file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
  try {
    const { error, status, stderr } = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', file] })
    if (error !== undefined || (status !== 0 && status !== 1)) {
      const why = error?.message ?? stderr.toString().trim()
      throw new StoreError('STORE_FAILED', `cannot lock ${path} with the program flock (util-linux): ${why}`)
    }
    if (status === 1) throw locked(folder, fs.readFileSync(path, 'utf8').trim())
    fs.ftruncateSync(file)
    // For people only: what counts is the lock itself.
    fs.writeSync(file, `${process.pid}\n`, 0)
  } catch (error) {
    fs.closeSync(file)
    throw error
  }
  return () => fs.closeSync(file)
}

function locked(folder: string, pid: string): StoreError {
  return new StoreError(
    'STORE_LOCKED',
    `the journal in ${folder} is in use by process ${pid || 'unknown'}: stop it, or use another folder`,
    { exitCode: LOCKED_EXIT_CODE, retryable: true, details: { folder, pid: Number(pid) || undefined } },
  )
}

/** Neither locks nor syncs can be relied on there. */
export function refuseNetworkFileSystem(folder: string): void {
  const name = NETWORK_FILE_SYSTEMS.get(fs.statfsSync(folder).type)
  if (name === undefined) return
  throw new ConfigurationError(
    `the journal folder ${folder} is on ${name}, where locks and syncs are not reliable: use a local disk, or allow it with allowNetworkFs`,
    { details: { folder, fileSystem: name } },
  )
}
