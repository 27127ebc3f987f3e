import { MetaWorker } from 'offstage'

class Base extends MetaWorker {
  inherited() {
    return 'never'
  }
}

export default class EchoWorker extends Base {
  static override workerName = 'echo_worker'
  #created: unknown = null

  override create(data?: unknown) {
    if (data === 'fail') throw new TypeError('create was told to fail')
    this.#created = data ?? null
  }

  echo(arg: unknown) {
    return arg
  }

  some_task(arg: unknown) {
    return { arg, jobKey: this.jobKey ?? null, workerKey: this.workerKey }
  }

  created() {
    return this.#created
  }

  fail(message: string) {
    throw Object.assign(new RangeError(message), { code: 'E_TOLD' })
  }

  async reject(message: string) {
    await null
    throw new Error(message)
  }

  unsendable() {
    return { deep: { callback: () => {} } }
  }

  remember(arg: { key: string; value: unknown }) {
    this.cache.set(arg.key, arg.value)
  }

  twice(text: string) {
    return `${text}${text}`
  }

  rememberTwice(text: string) {
    this.cache.set('twice', `${text}${text}`)
  }

  recall(key: string) {
    return this.cache.get(key) ?? null
  }

  async untilAborted() {
    const { signal } = this
    if (!signal) return 'no signal'
    this.cache.set('waiting', true)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    this.cache.set('aborted', String(signal.reason?.code ?? signal.reason))
    signal.throwIfAborted()
  }

  _private() {
    return 'never'
  }

  get accessor() {
    return () => 'never'
  }
}
