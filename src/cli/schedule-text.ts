/** A schedule for people, and for programs: times are ISO times in its zone. */
import type { ScheduleInfo, ScheduleRun } from '../middleman/index.js'
import { zoneOf } from '../supervisor/schedule/zone.js'

export function scheduleText(info: ScheduleInfo, withServer: boolean): string {
  const { name, server, when, timezone, persistent, paused, running, next, last } = info
  const state = [
    ...(paused ? ['paused'] : []),
    ...(running > 0 ? [running === 1 ? 'runs' : `runs ${running} times`] : []),
    ...(persistent ? ['persistent'] : []),
  ]
  return [
    `${withServer ? `${server} ` : ''}${name}${state.length === 0 ? '' : ` (${state.join(', ')})`}`,
    `  when  ${when}   ${timezone}`,
    ...next.map((at, i) => `  ${i === 0 ? 'next' : '    '}  ${inZone(at, timezone)}`),
    ...(next.length === 0 ? ['  next  never'] : []),
    ...(last === undefined ? [] : [`  last  ${runText(last, timezone)}`]),
  ].join('\n')
}

export function scheduleJson({ next, last, ...info }: ScheduleInfo): object {
  const { timezone } = info
  const times = { ...info, next: next.map((at) => inZone(at, timezone)) }
  return last === undefined ? times : { ...times, last: { ...last, at: inZone(last.at, timezone) } }
}

function runText({ at, late, duration, failure }: ScheduleRun, timezone: string): string {
  const begun = `${inZone(at, timezone)}, begun ${late} ms later`
  if (duration === undefined) return `${begun}, still runs`
  return `${begun}, took ${duration} ms, ${failure === undefined ? 'ok' : `failed: ${failure}`}`
}

function inZone(at: number, timezone: string): string {
  const offset = zoneOf(timezone, 'the zone of the schedule').offset(Math.floor(at / 1_000))
  const wall = new Date(at + offset * 1_000).toISOString().slice(0, 23).replace('.000', '')
  const minutes = Math.round(Math.abs(offset) / 60)
  const two = (number: number) => String(number).padStart(2, '0')
  return `${wall}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}
