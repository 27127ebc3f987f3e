/** What a checker and its thread say to each other. */
import type { WorkerSettings } from '../settings.js'

export interface CheckerData {
  file: string
  overrides: Partial<WorkerSettings>
}

/** Arguments, one behind the other in CBOR; each ends where `ends` says. */
export interface CheckBatch {
  methods: string[]
  ends: number[]
  bytes: Uint8Array
}

/** By their place in the batch, the bodies of the ERRORs of those that do not fit. */
export type CheckAnswer = Map<number, Uint8Array>
