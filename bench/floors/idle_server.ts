/** Floor: how late the event loop of a process is that does nothing, which is what the machine alone makes of it. */
import { LoopDelays } from '../loop_delays.js'

const delays = new LoopDelays()
process.on('message', () => process.send!(delays.take()))
process.once('disconnect', () => process.exit())
process.send!('ready')
