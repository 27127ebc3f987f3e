import { drainWorker } from '../drain_worker.js'

export default drainWorker(1)
