/** One contract for every kind of host. */
import t from 'tap'
import { HOST_KINDS } from '#offstage/actors/settings.js'
import { hostContract } from '../contract/host.js'

for (const host of HOST_KINDS) t.test(`a worker in a host of kind ${host}`, (t) => hostContract(t, host))
