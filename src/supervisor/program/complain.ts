/** What is wrong, on standard error: each line says which program complains. */
export function complain(text: string): void {
  for (const line of text.split('\n')) process.stderr.write(`offstage: ${line}\n`)
}
