// A running peer host as others on this machine reach it.
import { type ControlClient, controlClient } from '../base/control/client.ts'
import { reachApi } from './api.ts'

/** The operations of the peer host with its sockets in that folder. */
export function reachCalls(folder: string, timeoutMs?: number): ControlClient<typeof reachApi>['calls'] {
  return controlClient(reachApi, { daemon: 'peer', folder, privilege: 'observe', ...(timeoutMs === undefined ? {} : { timeoutMs }) }).calls
}
