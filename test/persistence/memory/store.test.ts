import { MemoryStore } from '#offstage/persistence/memory/store.js'
import { jobStoreContract } from '../../contract/job-store.js'

jobStoreContract(async (_t, tools) => new MemoryStore(tools))
