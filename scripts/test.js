/**
 * `npm test`: sets up what is missing, runs every test file, and ends with one line that counts.
 *
 * Each file is a tap program and runs as plain `node`, two at a time. `tap run` would put its module loader into
 * every worker thread that a test starts, which makes those files take five times as long; coverage comes from V8
 * itself, by c8. Arguments choose files: `npm test -- frame` runs those with "frame" in their path.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, install, root } from './setup.js'

install()
build()

const { Parser } = await import('tap-parser')

/** A file that takes longer hangs. */
const PATIENCE = 5 * 60_000
const AT_A_TIME = 2
const TESTS = join(root, 'build/test')
const COVERAGE = join(root, 'build/coverage')
/** `COVERAGE=off`: each of the many processes that tests start takes longer with it. */
const COVERED = process.env.COVERAGE !== 'off'
const OUTPUT = join(root, 'build/test-output')
const FIXTURES = join(root, '.tap/fixtures')

const wanted = process.argv.slice(2)
const files = readdirSync(TESTS, { recursive: true })
  .filter((name) => name.endsWith('.test.js') && (wanted.length === 0 || wanted.some((part) => name.includes(part))))
  .sort()
if (files.length === 0) say(`no test file has ${wanted.join(' or ')} in its path`)
for (const folder of [COVERAGE, OUTPUT]) rmSync(folder, { recursive: true, force: true })
mkdirSync(OUTPUT, { recursive: true })

const total = { passed: 0, failed: 0, skipped: 0 }
const queue = [...files]
await Promise.all(Array.from({ length: AT_A_TIME }, runNext))
if (wanted.length === 0 && COVERED) reportCoverage()
say(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
// Elsewhere a part that is missing may be; in CI that would be a test that nobody ever runs.
const missing = process.env.CI === 'true' && total.skipped > 0 && process.env.TAP_GREP === undefined
if (missing) say('in CI no test may be skipped: install what is missing')
process.exitCode = total.failed > 0 || total.passed === 0 || missing ? 1 : 0

async function runNext() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const started = performance.now()
    const { counts, problems, text } = await run(file)
    removeFixtures(file)
    for (const key of Object.keys(total)) total[key] += counts[key]
    writeFileSync(join(OUTPUT, `${file.replaceAll('/', '-')}.tap`), text)
    const seconds = ((performance.now() - started) / 1_000).toFixed(1)
    const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`
    say(`${counts.failed === 0 ? 'ok  ' : 'FAIL'} ${file}: ${counts.passed} passed${skipped} (${seconds} s)`)
    for (const problem of problems) say(problem)
  }
}

/** The folders that `t.testdir()` made, by the names that it gives them. */
function removeFixtures(file) {
  const prefix = join('build/test', file).replace(/[^a-zA-Z0-9._-]+/g, '-')
  for (const name of existsSync(FIXTURES) ? readdirSync(FIXTURES) : []) {
    if (name.startsWith(prefix)) rmSync(join(FIXTURES, name), { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Resolves with what the file's assertions came to; `problems` are lines for a person. */
function run(file) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const problems = []
  const parser = new Parser()
  tally(parser, [], counts, problems)
  const child = spawn(process.execPath, ['--enable-source-maps', join(TESTS, file)], {
    cwd: root,
    env: {
      ...process.env,
      ...(COVERED ? { NODE_V8_COVERAGE: COVERAGE } : {}),
      TAP_TIMEOUT: String(PATIENCE / 1_000),
      // A test's folder goes when its file has ended: tap would remove it before the servers that use it are stopped.
      TAP_SAVE_FIXTURE: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
  let text = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
    parser.write(chunk)
  })
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    errors += chunk
  })
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      parser.end()
      if (code !== 0 && counts.failed === 0) {
        counts.failed++
        problems.push(`  ended with ${signal ?? `status ${code}`}`)
      }
      if (counts.failed > 0 && errors !== '') problems.push(indent(errors.slice(-4_000)))
      resolve({ counts, problems, text: `${text}\n${errors.replace(/^/gm, '# ')}` })
    })
  })
}

/** Counts assertions, not the subtests that they are in. */
function tally(parser, path, counts, problems) {
  let subtest
  parser.on('child', (child) => {
    subtest = { failedBefore: counts.failed }
    tally(child, [...path, child.name], counts, problems)
  })
  parser.on('assert', (result) => {
    const closed = subtest
    subtest = undefined
    if (closed !== undefined && (result.ok || counts.failed > closed.failedBefore)) {
      if (result.skip) skip(result)
    } else if (result.skip || result.todo) skip(result)
    else if (result.ok) counts.passed++
    else {
      counts.failed++
      problems.push(
        `  not ok: ${[...path, result.name].join(' > ')}`,
        indent(JSON.stringify(result.diag, null, 2) ?? ''),
      )
    }
  })
  function skip(result) {
    counts.skipped++
    problems.push(`  skipped: ${[...path, result.name].join(' > ')}: ${result.skip || result.todo}`)
  }
}

function reportCoverage() {
  const { status } = spawnSync('npm', ['run', '--silent', 'coverage'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) say('the coverage could not be put together')
}

function indent(text) {
  return text.replace(/^/gm, '    ')
}

function say(text) {
  process.stdout.write(`${text}\n`)
}
