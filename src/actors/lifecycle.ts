/**
 * The life of one worker instance, as a machine: its state is the only status there is.
 *
 *   loading (starting · backingOff) → running (idle · busy · draining) → stopped (normal · failed)
 *
 * A failure (create threw, the host ended) leads from starting and from running to backingOff, and after the
 * backoff to starting again; more than `maxRestarts` of them within `restartPeriod` lead to stopped.failed.
 * Messages do not pass through here: idle and busy are set when somebody looks.
 */
import { assign, setup } from 'xstate'
import type { Cancelable, Clock } from './clock.js'

/** Milliseconds: the first pause, its limit, and how long a worker must have run for the pause to begin anew. */
const FIRST_BACKOFF = 100
const LONGEST_BACKOFF = 10_000
const STABLE_AFTER = 10_000

export interface LifecycleInput {
  /** From 0 to below 1. */
  random: () => number
}

interface Life extends LifecycleInput {
  maxRestarts: number
  /** Milliseconds. */
  restartPeriod: number
  /** When it failed within the last `restartPeriod`, the last one at the end. */
  failures: readonly number[]
  /** Failures in a row without a stable time between. */
  streak: number
  /** Milliseconds from the last failure to the next start. */
  pause: number
  /** How often it was started again. */
  restarts: number
  /** When it last began to run; 0 before. */
  runningSince: number
  /** Why it failed last. */
  failure: string | undefined
}

export type LifecycleEvent =
  | { type: 'described'; maxRestarts: number; restartPeriod: number }
  | { type: 'created'; at: number }
  | { type: 'failed'; at: number; reason: string }
  /** It failed, and is not to be started again. */
  | { type: 'gaveUp'; reason: string }
  | { type: 'busy' }
  | { type: 'idle' }
  | { type: 'drain' }
  /** Its host was ended so that another one starts. */
  | { type: 'renewed' }
  | { type: 'ended' }

export const lifecycle = setup({
  types: {
    context: {} as Life,
    events: {} as LifecycleEvent,
    input: {} as LifecycleInput,
  },
  actions: {
    /** Starts a host again. The actor brings it. */
    launch: () => undefined,
    countFailure: assign(({ context, event }) => {
      if (event.type !== 'failed') return {}
      const { at } = event
      const stable = context.runningSince > 0 && at - context.runningSince >= STABLE_AFTER
      const streak = stable ? 1 : context.streak + 1
      // Doubles with each failure in a row; between half and all of it, so that workers do not start in step.
      const full = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (streak - 1))
      return {
        failures: [...context.failures.filter((time) => time > at - context.restartPeriod), at],
        streak,
        pause: full * (0.5 + context.random() / 2),
        runningSince: 0,
        failure: event.reason,
      }
    }),
    countRestart: assign({ restarts: ({ context }) => context.restarts + 1 }),
    rememberWhy: assign(({ event }) => (event.type === 'gaveUp' ? { failure: event.reason } : {})),
    begin: assign(({ event }) => (event.type === 'created' ? { runningSince: event.at } : {})),
    describe: assign(({ event }) =>
      event.type === 'described' ? { maxRestarts: event.maxRestarts, restartPeriod: event.restartPeriod * 1000 } : {},
    ),
  },
  guards: {
    exhausted: ({ context, event }) =>
      event.type === 'failed' &&
      context.failures.filter((time) => time > event.at - context.restartPeriod).length >= context.maxRestarts,
  },
  delays: { backoff: ({ context }) => context.pause },
}).createMachine({
  id: 'worker',
  context: ({ input }) => ({
    random: input.random,
    maxRestarts: 5,
    restartPeriod: 60_000,
    failures: [],
    streak: 0,
    pause: 0,
    restarts: 0,
    runningSince: 0,
    failure: undefined,
  }),
  on: { described: { actions: 'describe' } },
  initial: 'loading',
  states: {
    loading: {
      initial: 'starting',
      on: {
        ended: '#worker.stopped.normal',
        gaveUp: { target: '#worker.stopped.failed', actions: 'rememberWhy' },
        failed: [
          { guard: 'exhausted', target: '#worker.stopped.failed', actions: 'countFailure' },
          { target: '#worker.loading.backingOff', actions: 'countFailure' },
        ],
      },
      states: {
        starting: { on: { created: { target: '#worker.running', actions: 'begin' } } },
        backingOff: { after: { backoff: { target: 'starting', actions: ['countRestart', 'launch'] } } },
      },
    },
    running: {
      initial: 'idle',
      on: {
        drain: '.draining',
        renewed: { target: '#worker.loading.starting', actions: ['countRestart', 'launch'] },
        ended: '#worker.stopped.normal',
        failed: [
          { guard: 'exhausted', target: '#worker.stopped.failed', actions: 'countFailure' },
          { target: '#worker.loading.backingOff', actions: 'countFailure' },
        ],
      },
      states: {
        idle: { on: { busy: 'busy' } },
        busy: { on: { idle: 'idle' } },
        draining: {},
      },
    },
    stopped: {
      initial: 'normal',
      states: { normal: {}, failed: {} },
    },
  },
})

/** A clock as xstate wants one. */
export function machineClock(clock: Clock) {
  return {
    setTimeout: (fn: () => void, ms: number): unknown => clock.after(ms, fn),
    clearTimeout: (timer: Cancelable | undefined): void => timer?.cancel(),
  }
}

type Status = 'loading' | 'running' | 'stopped'

/** The machine's value is always one state within one of the three. */
export function stateOf(value: object): { status: Status; state: string } {
  const [[status, detail]] = Object.entries(value) as [[Status, string]]
  return { status, state: `${status}.${detail}` }
}
