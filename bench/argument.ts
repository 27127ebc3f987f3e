/**
 * The argument that every row sends: 100 bytes as CBOR (a text of 98 characters behind a head of 2 bytes).
 * It begins with its number, so that an answer can be told from another call's answer.
 */

export const ARGUMENT_BYTES = 100

const DIGITS = 10
const FILL = 'x'.repeat(ARGUMENT_BYTES - 2 - DIGITS)

export function argumentFor(n: number): string {
  return n.toString().padStart(DIGITS, '0') + FILL
}

export function numberOf(argument: string): number {
  if (argument.length !== ARGUMENT_BYTES - 2) throw new Error(`an argument of ${argument.length} characters arrived`)
  return Number(argument.slice(0, DIGITS))
}
