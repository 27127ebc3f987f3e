import { MemoryStore } from '../persistence/memory/store.js'
export async function openJournal(_o: unknown) {
  return new MemoryStore()
}
