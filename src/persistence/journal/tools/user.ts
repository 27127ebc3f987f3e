/** Which process has a journal, found out without asking for the lock: that could keep a supervisor from starting. */
import fs from 'node:fs'
import { errorCode } from '../file-system.js'

/** The id of the process that holds the folder's LOCK; undefined when there is none, or none can be told. */
export function folderUser(folder: string): number | undefined {
  let pid: number
  let lock: string
  try {
    lock = fs.realpathSync(`${folder}/LOCK`)
    pid = Number.parseInt(fs.readFileSync(lock, 'utf8'), 10)
  } catch {
    // Without a LOCK that can be read nobody has the folder, or nobody that we may know of.
    return undefined
  }
  return pid > 0 && hasOpen(pid, lock) ? pid : undefined
}

/** The number in LOCK outlives its process, and may by now be another one's. */
function hasOpen(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`
  let files: string[]
  try {
    files = fs.readdirSync(folder)
  } catch (error) {
    // Another user's process: it is there, and most likely it is the supervisor.
    return errorCode(error) === 'EACCES'
  }
  return files.some((file) => {
    try {
      return fs.readlinkSync(`${folder}/${file}`) === path
    } catch {
      // Closed since it was listed.
      return false
    }
  })
}
