/** A process that does nothing, and measures how late it does it: what the machine costs at that time. */
import { takeDelays } from './loop.js'

process.on('message', () => process.send!(takeDelays()))
process.once('disconnect', () => process.exit())
process.send!('ready')
