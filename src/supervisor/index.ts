/** The program: `node dist/supervisor` runs a supervisor in the foreground. */
import { startCommand } from './program/start.js'

await startCommand().name('node dist/supervisor').parseAsync()
