/** Which rule of the codec an object falls under, when it is neither an array nor a plain object. */
import { isAnyArrayBuffer, isDate, isMap, isNativeError, isSet } from 'node:util/types'
import { Tag } from './codec-tags.js'

/** The getter that knows a typed array's type whatever its prototype says, also when it is from another realm. */
const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get! as (this: unknown) => string | undefined

const TYPED_ARRAY_TAGS = new Map<string | undefined, number>([
  ['Uint8Array', Tag.UINT8],
  ['Uint8ClampedArray', Tag.UINT8_CLAMPED],
  ['Uint16Array', Tag.UINT16],
  ['Uint32Array', Tag.UINT32],
  ['BigUint64Array', Tag.UINT64],
  ['Int8Array', Tag.INT8],
  ['Int16Array', Tag.INT16],
  ['Int32Array', Tag.INT32],
  ['BigInt64Array', Tag.INT64],
  ['Float32Array', Tag.FLOAT32],
  ['Float64Array', Tag.FLOAT64],
])

/** The tag for a typed array; 0 for anything else. */
export function typedArrayTag(value: object): number {
  return TYPED_ARRAY_TAGS.get(typedArrayName.call(value)) ?? 0
}

export function isPlain(prototype: object | null): boolean {
  if (prototype === null || prototype === Object.prototype) return true
  // The Object.prototype of another realm (a vm context, a test runner).
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

export function isError(value: unknown): value is Error {
  return isNativeError(value) || value instanceof Error
}

export { isAnyArrayBuffer, isDate, isMap, isSet }

/** What a value that cannot be sent is, for the message. */
export function describeKind(value: unknown): string {
  switch (typeof value) {
    case 'function':
      return /^class\b/.test(Function.prototype.toString.call(value)) ? 'a class' : 'a function'
    case 'symbol':
      return 'a symbol'
    case 'object':
      return `an object of class ${className(value as object)}`
    default:
      return `a ${typeof value}`
  }
}

function className(value: object): string {
  const make: unknown = value.constructor
  return typeof make === 'function' && make.name !== '' ? make.name : 'without a name'
}
