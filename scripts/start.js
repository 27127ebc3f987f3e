/** `npm start`: sets up what is missing, then runs the supervisor with the workers of the examples. */
import { join } from 'node:path'
import { build, install, root } from './setup.js'

install()
build()

const { startCommand } = await import('../dist/supervisor/program/start.js')

const examples = ['guide', 'thumbnails', 'express-app', 'fastify-app'].map((name) =>
  join(root, 'build/examples', name, 'workers'),
)
const args = process.argv.slice(2)
const workers = args.includes('--workers') || args.includes('-w') || process.env.OFFSTAGE_WORKERS ? [] : examples

await startCommand({ onReady })
  .name('npm start --')
  .parseAsync([...workers.flatMap((folder) => ['--workers', folder]), ...args], { from: 'user' })

function onReady(supervisor, config) {
  const lines = [
    '',
    `offstage listens on ${supervisor.address}, keeps its journal in ${config.data}, and has loaded`,
    ...supervisor.workers.map(({ name, methods, autoLoad }) => {
      return `  ${name.padEnd(18)} ${methods.join(', ')}${autoLoad ? '' : ' (started by newWorker)'}`
    }),
    '',
    'Try next, in another terminal:',
    "  npm run example:guide          the client guide's calls, one after the other",
    '  npm run example:thumbnails     real jobs on real files, through the durable queue',
    '  npm run example:express-app    a web application that enqueues and shows results',
    '  npm run example:fastify-app    a web application whose calls end with their requests',
    '',
    'Ctrl-C stops it.',
    '',
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
