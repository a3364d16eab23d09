// The running proxy of this person, as commands reach it.
import { type ControlClient, controlClient } from '../base/control/client.ts'
import { shareApi } from './api.ts'
import type { Places } from './places.ts'

/** The operations of the proxy with its sockets in that folder. */
export function shareCalls({ control }: Pick<Places, 'control'>): ControlClient<typeof shareApi>['calls'] {
  return controlClient(shareApi, { daemon: 'cache', folder: control, privilege: 'change' }).calls
}
