/** Runs `npm start` as a newcomer would, waits until it says what to try next, and stops it with SIGTERM. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const PATIENCE = 10 * 60_000

const child = spawn('npm', ['start', '--', '--port', '0', '--data', 'build/first-start-data'], {
  cwd: join(import.meta.dirname, '..'),
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
})
const timer = setTimeout(() => end(`npm start was not ready within ${PATIENCE} ms`), PATIENCE)
let output = ''
let ready = false
child.stdout.on('data', (chunk) => {
  process.stdout.write(chunk)
  output += chunk
  if (!ready && output.includes('Try next')) {
    ready = true
    process.kill(-child.pid, 'SIGTERM')
  }
})
child.once('close', (code) => {
  clearTimeout(timer)
  if (!ready) end(`npm start ended with status ${code} before it was ready`)
  else if (!output.includes('"msg":"stopped"')) end('npm start did not stop in good order')
})

function end(problem) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}
