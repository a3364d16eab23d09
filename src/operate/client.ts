// The machine server of this machine, through its sockets.
import { type ControlClient, controlClient } from '../base/control/client.ts'
import { machineApi } from './api.ts'

/** The operations of a running machine server. */
export type MachineCalls = ControlClient<typeof machineApi>['calls']

/** Those of the one whose sockets are in `folder`. */
export function machineCalls(folder: string): MachineCalls {
  return controlClient(machineApi, { daemon: 'machine', folder, privilege: 'change' }).calls
}
