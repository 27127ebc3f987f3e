/**
 * Who may do what: the `access` rules of the configuration. Without the section everybody who may connect may do
 * everything. With it, a call needs a rule that allows it and none that denies it.
 */
import { z } from 'zod'
import { AccessDenied } from '../errors.js'
import { type Envelope, Verb } from '../wire/envelope.js'
import { ABOUT_A_JOB } from './job-verbs.js'

/** So many times `enqueue`: rules know nothing of them, and each of their jobs is looked at. */
const BULK: ReadonlySet<string> = new Set(['ENQUEUE_MANY', 'ENQUEUE_EACH'])

/** As rules name them. */
const VERBS = Object.keys(Verb)
  .filter((name) => !BULK.has(name))
  .map((name) => name.toLowerCase())

const names = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])
const verb = z.enum(['*', ...VERBS])

export const accessSchema = z.array(
  z
    .strictObject({
      allow: names.optional(),
      deny: names.optional(),
      verbs: z.union([verb, z.array(verb).min(1)]).optional(),
      workers: names.optional(),
      methods: names.optional(),
    })
    .refine((rule) => (rule.allow === undefined) !== (rule.deny === undefined), {
      error: 'a rule with either "allow" or "deny", which name identities',
    }),
)

export type AccessRules = z.infer<typeof accessSchema>

type Matcher = (text: string) => boolean

interface Rule {
  readonly allow: boolean
  readonly verbs: Matcher
  readonly workers: Matcher
  readonly methods: Matcher
}

/** Throws `AccessDenied` for a call that the rules do not allow. */
export type Guard = (e: Envelope) => void

/** The other verbs are about a worker or an instance. What their envelope says of a method means nothing, also to a rule. */
const ABOUT_METHODS: ReadonlySet<number> = new Set([
  Verb.CALL,
  Verb.ASYNC,
  Verb.ENQUEUE,
  Verb.DEQUEUE,
  Verb.PAUSE_SCHEDULE,
  Verb.RESUME_SCHEDULE,
  Verb.RUN_SCHEDULE,
  ...ABOUT_A_JOB,
])

/** And these about everything. */
const ABOUT_ALL: ReadonlySet<number> = new Set([Verb.ALL_WORKER_INFO, Verb.SCHEDULES])

const VERB_NAMES = new Map(Object.entries(Verb).map(([name, number]) => [number as number, name.toLowerCase()]))

/** The guard of one identity; undefined when everything is allowed. */
export function guardOf(identity: string, rules: AccessRules | undefined): Guard | undefined {
  if (rules === undefined) return undefined
  const own: Rule[] = rules
    .filter(({ allow, deny }) => matcher(allow ?? deny)(identity))
    .map((rule) => ({
      allow: rule.allow !== undefined,
      verbs: matcher(rule.verbs),
      workers: matcher(rule.workers),
      methods: matcher(rule.methods),
    }))
  return (e) => {
    if (e.verb === Verb.ENQUEUE_MANY || e.verb === Verb.ENQUEUE_EACH) return
    const verb = VERB_NAMES.get(e.verb) ?? ''
    const worker = ABOUT_ALL.has(e.verb) ? '' : e.worker
    const method = ABOUT_METHODS.has(e.verb) ? e.method : ''
    let allowed = false
    for (const rule of own) {
      if (!rule.verbs(verb) || !rule.workers(worker) || !rule.methods(method)) continue
      if (!rule.allow) throw denied(identity, verb, worker, method)
      allowed = true
    }
    if (!allowed) throw denied(identity, verb, worker, method)
  }
}

function denied(identity: string, verb: string, worker: string, method: string): AccessDenied {
  const what = [worker, method].filter((part) => part !== '').join('.')
  return new AccessDenied(`${identity} may not ${verb} ${what}`.trimEnd())
}

function matcher(wanted: string | readonly string[] = '*'): Matcher {
  const list = new Set(typeof wanted === 'string' ? [wanted] : wanted)
  return list.has('*') ? () => true : (text) => list.has(text)
}
