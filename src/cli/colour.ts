/** Colours, where somebody looks: on a terminal that has them, unless NO_COLOR is set (no-color.org). */

const { stdout, env } = process
const coloured = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const

export type Colour = keyof typeof CODES

export function paint(text: string, colour: Colour | undefined): string {
  return coloured && colour !== undefined ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text
}
