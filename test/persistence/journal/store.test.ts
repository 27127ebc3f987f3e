import { openJournal } from '#offstage/persistence/journal/open.js'
import { jobStoreContract } from '../../contract/job-store.js'
import { journalFolder } from './folder.js'

jobStoreContract((t, tools) => openJournal({ dir: journalFolder(t), ...tools }))
