/** The calls to the file system that the tools make besides those of the journal. */
import fs from 'node:fs'
import { type JournalFs, realFs } from '../file-system.js'

export interface ToolFs extends JournalFs {
  /** Gives a file a second name, on the same file system. */
  link(from: string, to: string): void
  /** Removes an empty folder. */
  removeFolder(path: string): void
}

export const realToolFs: ToolFs = {
  ...realFs,
  link: (from, to) => fs.linkSync(from, to),
  removeFolder: (path) => fs.rmdirSync(path),
}
