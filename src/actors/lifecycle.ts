/**
 * The life of one worker instance, as a machine: its state is the only status there is.
 *
 *   loading (starting · backingOff · waiting) → running (idle · busy · draining) → stopped (normal · failed)
 *
 * A failure (create threw, the host ended) leads from starting and from running to backingOff, and after the
 * backoff to starting again; more than `maxRestarts` of them within `restartPeriod` lead to stopped.failed.
 * A member of a group does not back off by itself: it is held, waiting, until its group launches it again.
 * Messages do not pass through here: idle and busy are set when somebody looks.
 */
import { assign, setup } from 'xstate'
import type { Cancelable, Clock } from './clock.js'
import { countFailure, exhausted, type Failures, type Intensity, NO_FAILURES } from './restarts.js'

export interface LifecycleInput {
  /** From 0 to below 1. */
  random: () => number
}

interface Life extends LifecycleInput, Intensity {
  failures: Failures
  /** How often it was started again. */
  restarts: number
  /** When it last began to run; 0 before. */
  runningSince: number
  /** Why it failed last, and when. */
  failure: string | undefined
  failedAt: number
}

export type LifecycleEvent =
  | { type: 'described'; maxRestarts: number; restartPeriod: number }
  | { type: 'created'; at: number }
  | { type: 'failed'; at: number; reason: string }
  /** It failed, and is not to be started again. */
  | { type: 'gaveUp'; at: number; reason: string }
  /** It was ended, and is started again when its group says so. */
  | { type: 'held'; at: number; reason: string }
  | { type: 'launch' }
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
      return {
        failures: countFailure(context.failures, event.at, context.runningSince, context, context.random()),
        runningSince: 0,
      }
    }),
    rememberWhy: assign(({ event }) => ('reason' in event ? { failure: event.reason, failedAt: event.at } : {})),
    pauseRun: assign({ runningSince: 0 }),
    countRestart: assign({ restarts: ({ context }) => context.restarts + 1 }),
    begin: assign(({ event }) => (event.type === 'created' ? { runningSince: event.at } : {})),
    describe: assign(({ event }) =>
      event.type === 'described' ? { maxRestarts: event.maxRestarts, restartPeriod: event.restartPeriod * 1000 } : {},
    ),
  },
  guards: {
    exhausted: ({ context, event }) => event.type === 'failed' && exhausted(context.failures, event.at, context),
  },
  delays: { backoff: ({ context }) => context.failures.pause },
}).createMachine({
  id: 'worker',
  context: ({ input }) => ({
    random: input.random,
    maxRestarts: 5,
    restartPeriod: 60_000,
    failures: NO_FAILURES,
    restarts: 0,
    runningSince: 0,
    failure: undefined,
    failedAt: 0,
  }),
  on: { described: { actions: 'describe' } },
  initial: 'loading',
  states: {
    loading: {
      initial: 'starting',
      on: {
        ended: '#worker.stopped.normal',
        gaveUp: { target: '#worker.stopped.failed', actions: 'rememberWhy' },
        held: { target: '#worker.loading.waiting', actions: ['pauseRun', 'rememberWhy'] },
        failed: [
          { guard: 'exhausted', target: '#worker.stopped.failed', actions: ['countFailure', 'rememberWhy'] },
          { target: '#worker.loading.backingOff', actions: ['countFailure', 'rememberWhy'] },
        ],
      },
      states: {
        starting: { on: { created: { target: '#worker.running', actions: 'begin' } } },
        backingOff: { after: { backoff: { target: 'starting', actions: ['countRestart', 'launch'] } } },
        waiting: { on: { launch: { target: 'starting', actions: ['countRestart', 'launch'] } } },
      },
    },
    running: {
      initial: 'idle',
      on: {
        drain: '.draining',
        renewed: { target: '#worker.loading.starting', actions: ['countRestart', 'launch'] },
        ended: '#worker.stopped.normal',
        gaveUp: { target: '#worker.stopped.failed', actions: 'rememberWhy' },
        held: { target: '#worker.loading.waiting', actions: ['pauseRun', 'rememberWhy'] },
        failed: [
          { guard: 'exhausted', target: '#worker.stopped.failed', actions: ['countFailure', 'rememberWhy'] },
          { target: '#worker.loading.backingOff', actions: ['countFailure', 'rememberWhy'] },
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
