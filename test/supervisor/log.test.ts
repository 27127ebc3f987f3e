import t from 'tap'
import { createLogger } from '#offstage/supervisor/log.js'

t.test('a log that cannot be written does not end the process', async (t) => {
  const told = t.capture(process.stderr, 'write')
  const log = createLogger({ log: '/dev/full', log_level: 'info' })
  log.info('one')
  log.info('two')
  await new Promise((resolve) => setImmediate(resolve))
  const lines = told().map(({ args }) => String(args[0]))
  t.match(lines, [/the log cannot be written, and the supervisor goes on: ENOSPC/])
  t.equal(lines.length, 1)
})
