import t from 'tap'
import * as errors from '#offstage/errors.js'
import { decodeFailure, describeThrown, encodeFailure } from '#offstage/wire/failure.js'

t.test('every error comes back as its class, with its facts', async (t) => {
  const facts = { executed: 'yes', retryable: true, details: { worker: 'w', list: [1] } } as const
  const all = [
    new errors.RemoteWorkerError('WORKER_ERROR', 'm', {
      ...facts,
      remote: { name: 'TypeError', message: 'x', code: 7, stack: 's' },
    }),
    new errors.RemoteWorkerError('NO_WORKER', 'm', facts),
    new errors.RemoteWorkerError('NO_METHOD', 'm', facts),
    new errors.RemoteWorkerError('RESULT_NOT_ENCODABLE', 'm', facts),
    new errors.RemoteWorkerError('RESULT_TOO_LARGE', 'm', facts),
    new errors.RemoteWorkerError('CREATE_FAILED', 'm', facts),
    new errors.RemoteWorkerError('BAD_ARGUMENT', 'm', facts),
    new errors.NoJobKey('m', facts),
    new errors.WorkerCrashed('m', facts),
    new errors.WorkerStopped('m', facts),
    new errors.WorkerKeyInUse('m', facts),
    new errors.Overloaded('m', facts),
    new errors.DeadlineExceeded('m', facts),
    new errors.Cancelled('m', facts),
    new errors.OutcomeUnknown('m', facts),
    new errors.Draining('m', facts),
    new errors.InvalidArgument('m', facts),
    new errors.ProtocolError('m', facts),
    new errors.ProtocolError('m', facts, 'UNSUPPORTED'),
    new errors.StoreError('STORE_FULL', 'm', facts),
    new errors.OffstageError('SOMETHING_NEW', 'm', facts),
  ]
  for (const error of all) {
    const back = decodeFailure(encodeFailure(error))
    t.equal(back.constructor, error.constructor, error.code)
    t.match(back, {
      name: error.name,
      code: error.code,
      message: 'm',
      executed: 'yes',
      retryable: true,
      details: facts.details,
    })
    if (error instanceof errors.RemoteWorkerError) t.same((back as errors.RemoteWorkerError).remote, error.remote)
  }
})

t.test('details that cannot travel are left out, the error is not', async (t) => {
  const unsendable = new errors.Overloaded('full', { details: { callback: () => 1 } })
  t.match(decodeFailure(encodeFailure(unsendable)), { code: 'OVERLOADED', message: 'full', details: {} })
  const huge = new errors.Overloaded('full', { details: { text: 'x'.repeat(1 << 20) } })
  t.ok(encodeFailure(huge).length < 200)
})

t.test('long and broken text is cut and made valid', async (t) => {
  const error = new errors.RemoteWorkerError('WORKER_ERROR', `half \ud800 ${'m'.repeat(1 << 20)}`, {
    remote: describeThrown(
      Object.assign(new Error('y'.repeat(1 << 20)), {
        stack: 'z'.repeat(1 << 20),
        code: `\ud800${'c'.repeat(1 << 20)}`,
      }),
    ),
  })
  const bytes = encodeFailure(error)
  t.ok(bytes.length < 64 * 1024)
  const back = decodeFailure(bytes)
  t.match(back, { message: /^half � m+… \(1048583 characters\)$/, remote: { code: /^�c+… \(1048577 characters\)$/ } })
})

t.test('whatever a method throws is described', async (t) => {
  t.match(describeThrown(new RangeError('far')), { name: 'RangeError', message: 'far', stack: /RangeError: far/ })
  t.equal(describeThrown(Object.assign(new Error('x'), { code: 'ENOENT' })).code, 'ENOENT')
  t.notOk('code' in describeThrown(Object.assign(new Error('x'), { code: {} })))
  t.match(describeThrown('text'), { name: 'Error', message: 'a method threw "text", which is not an Error' })
  t.match(describeThrown(undefined).message, /threw undefined/)
  t.match(describeThrown({ a: 1 }).message, /an object of class Object/)
  t.match(describeThrown(Object.create(null)).message, /an object of class null/)
  t.match(describeThrown(Symbol('s')).message, /Symbol\(s\)/)
})

t.test('an ERROR that says little is read carefully', async (t) => {
  t.match(decodeFailure(Buffer.from('a0', 'hex')), { code: 'UNKNOWN', executed: 'maybe', retryable: false })
  t.match(decodeFailure(Buffer.from('f6', 'hex')), { code: 'UNKNOWN' })
  t.throws(() => decodeFailure(Buffer.from('a1', 'hex')), errors.ProtocolError)
})

t.test('what throws again when it is looked at is described all the same', async (t) => {
  const trap = () => {
    throw new Error('trap')
  }
  const message = /throws again/
  t.match(describeThrown(new Proxy({}, { get: trap, getPrototypeOf: trap })), { name: 'Error', message })
  t.match(describeThrown(Object.defineProperty(new Error(), 'message', { get: trap })), { name: 'Error', message })
  t.match(
    describeThrown({
      get constructor() {
        return trap()
      },
    }),
    { name: 'Error', message },
  )
})
