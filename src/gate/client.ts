// The gate as commands on this machine reach it.
import { join } from 'node:path'
import { type ControlClient, controlClient } from '../base/control/client.ts'
import { gateApi } from './api.ts'

export type GateClient = ControlClient<typeof gateApi>

/** The folder of the gate's sockets: what the configuration says, or the runtime folder's. */
export function controlFolder(runtime: string, configured: string | undefined): string {
  return configured ?? join(runtime, 'gate')
}

/** A client of the gate whose sockets are in `folder`; who may do everything opens the socket for that. */
export function gateClient(folder: string): GateClient {
  return controlClient(gateApi, { daemon: 'gate', folder, privilege: 'change' })
}
