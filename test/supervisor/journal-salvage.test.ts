import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t from 'tap'
import { journalFolder } from '../persistence/journal/folder.js'
import { journalTool, makeJournal, recordsIn } from '../support/journal-tool.js'
import { Server } from '../support/server.js'

interface Line {
  file: string
  offset: number
  seq: number
  jobKey: string
}

/** Changes a byte `from` bytes behind the beginning of the enqueue of the job with this key. */
async function damage(dir: string, key: string, from: number): Promise<Line> {
  const { out } = await journalTool('inspect', dir, '--key', key, '--type', 'ENQ')
  const line = recordsIn(out)[0] as unknown as Line
  const path = join(dir, line.file)
  const bytes = readFileSync(path)
  bytes[line.offset + from]! ^= 1
  writeFileSync(path, bytes)
  return line
}

t.test('salvage says what it saved and what is lost, and ends with 2', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 60)
  const { file, seq } = await damage(dir, 'job 20', 82)
  const { status, out, errors } = await journalTool('salvage', dir, `${dir}-new`)
  t.equal(status, 2, errors)
  t.match(out, `Saved 59 jobs of ${dir} into ${dir}-new: 59 unfinished, 0 dead.`)
  t.match(out, `${dir} was not changed`)
  t.match(
    out,
    new RegExp(`sequence numbers ${seq}: ${join(dir, file)}, offset \\d+ to \\d+: the body of the batch does not`),
  )
  t.match(out, `job ${seq}: mailer.send, key "job 20" (as far as its damaged record can be read)`)
  t.notMatch(out, 'may have ended already')
  t.match(await journalTool('fsck', `${dir}-new`), { status: 0, out: /59 ready/ })
  t.equal((await journalTool('fsck', dir)).status, 65)
})

t.test('salvage in doubt lists the jobs that may run again, in full with --json', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 60)
  // The type of the record: it may have been anything.
  const { seq } = await damage(dir, 'job 50', 8)
  const { status, out } = await journalTool('salvage', dir, `${dir}-new`)
  t.equal(status, 2)
  t.match(
    out,
    'Jobs that may have ended already, since records after them are lost: they will run. Remove those that must not:',
  )
  t.match(out, 'job 1: mailer.send, key "job 1"')
  t.match(out, '… and 29 more: see --json')
  const { out: json } = await journalTool('salvage', dir, `${dir}-second`, '--json')
  const report = JSON.parse(json) as { losses: object[]; mayRunAgain: { id: number }[] }
  t.match(report.losses, [{ fromSeq: seq, toSeq: seq, file: /\.seg$/, what: /CRC/ }])
  t.equal(report.mayRunAgain.length, 49)
})

t.test('a whole journal, and one without manifests, lose nothing and end with 0', async (t) => {
  const dir = journalFolder(t)
  await makeJournal(dir, 30)
  t.match(await journalTool('salvage', dir, `${dir}-a`), { status: 0, out: /Saved 30 jobs.*Nothing is lost\./s })
  for (const name of readdirSync(dir)) if (name.startsWith('MANIFEST')) rmSync(join(dir, name))
  t.match(await journalTool('fsck', dir), { status: 65, out: /no valid manifest/ })
  t.match(await journalTool('salvage', dir, `${dir}-b`), { status: 0, out: /Saved 30 jobs.*Nothing is lost\./s })
})

t.test(
  'nothing that can be read ends with 65, no journal with 66, a folder that is there with 73, and nothing is made',
  async (t) => {
    const dir = journalFolder(t)
    await makeJournal(dir, 3)
    t.match(await journalTool('salvage', dir, dir), { status: 73, errors: /inside of/ })
    t.match(await journalTool('salvage', `${dir}-none`, `${dir}-new`), { status: 66 })
    for (const name of readdirSync(dir)) writeFileSync(join(dir, name), Buffer.alloc(500, 1))
    const { status, errors } = await journalTool('salvage', dir, `${dir}-new`)
    t.equal(status, 65)
    t.match(errors, /neither a manifest nor the header of a segment is whole\. Restore a backup/)
    t.notOk(existsSync(`${dir}-new`))
  },
)

t.test('not while a supervisor runs; and one that is started on what was saved goes on with it', async (t) => {
  const dir = journalFolder(t)
  const server = await Server.start({ data: dir })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  const late = new Date(Date.now() + 3_600_000)
  for (const jobKey of ['first', 'second', 'third']) {
    await middleMan.worker('echo_worker').enqEcho!({ arg: { text: 'hello' }, jobKey, scheduledAt: late })
  }
  await middleMan.close()
  t.match(await journalTool('salvage', dir, `${dir}-new`), {
    status: 75,
    errors: new RegExp(`process ${server.child.pid} uses`),
  })
  t.equal(await server.stop(), 0)
  await damage(dir, 'second', 93)
  const refused = Server.spawn({ data: dir })
  t.equal(await refused.ended(), 65, 'the supervisor refuses it')
  t.match(await journalTool('salvage', dir, `${dir}-new`), { status: 2, out: /key "second"/ })
  const next = await Server.start({ data: `${dir}-new` })
  t.teardown(() => next.kill())
  const again = await MiddleMan.connect({ client: next.address })
  const created = []
  for (const jobKey of ['first', 'second', 'third']) {
    created.push(await again.worker('echo_worker').enqEcho!({ arg: {}, jobKey, scheduledAt: late }))
  }
  t.match(created, [{ created: false }, { created: true }, { created: false }])
  await again.close()
  t.equal(await next.stop(), 0)
  t.match(await journalTool('fsck', `${dir}-new`), { status: 0, out: /3 scheduled/ })
})
