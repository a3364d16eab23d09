// The machine server's own API as it serves it on this machine, with what it offers to a gate.
import { openControl } from '../base/control/server.ts'
import type { Offers } from '../base/control/offers.ts'
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import { machineApi } from './api.ts'
import { fault } from './faults.ts'
import type { MachineServer } from './server.ts'

export type MachineControlNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly server: Pick<MachineServer, 'summary' | 'looking'>
  /** Absent: it offers nothing. */
  readonly offers?: Offers
}

/** Fault `operate.runtime_busy`. */
export async function openMachineControl({ server, ...needs }: MachineControlNeeds, folder: string): Promise<AsyncDisposable> {
  const handlers = { ...server.looking, summary: () => server.summary() }
  try {
    return await openControl({ ...needs, api: machineApi, handlers }, { daemon: 'machine', folder })
  } catch (error) {
    throw asFault(error).code === 'socket.busy' ? fault.runtime_busy({ folder }, error) : error
  }
}
