import { ResultStorageError } from '../../../errors.js'
import { validate } from '../../../wire/validate.js'

/** What lies under a key as a value in CBOR; throws `ResultStorageError` (RESULT_STORAGE_REFUSED) when somebody else has put it there. */
export function checkedValue(key: string, bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined || isValue(bytes)) return bytes
  throw new ResultStorageError(
    'RESULT_STORAGE_REFUSED',
    `what lies in memcached under the key of the result ${JSON.stringify(key)} was not put there by offstage: ` +
      'give it a namespace of its own, in the section memcache and for every client',
  )
}

function isValue(bytes: Uint8Array): boolean {
  try {
    return validate(bytes) === bytes.length
  } catch {
    // Why it is none says nothing about who has put it there.
    return false
  }
}
