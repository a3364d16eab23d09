// Every command, path, message and promise of the runbooks that Fairlead was asked to make true, by file and line: one list for each runbook.
import { containerControlPlane } from './requirements/container-control-plane.ts'
import { encryptedPeerMessaging } from './requirements/encrypted-peer-messaging.ts'
import { machineOperationsServer } from './requirements/machine-operations-server.ts'
import { operatorGateway } from './requirements/operator-gateway.ts'
import type { Requirement } from './requirements/requirement.ts'
import { sharedApiCache } from './requirements/shared-api-cache.ts'

export type Runbook = {
  /** Of the runbook as it was given, and of our page that is played. */
  readonly file: string
  readonly requirements: readonly Requirement[]
}

export const runbooks: readonly Runbook[] = [
  { file: 'container-control-plane.md', requirements: containerControlPlane },
  { file: 'encrypted-peer-messaging.md', requirements: encryptedPeerMessaging },
  { file: 'machine-operations-server.md', requirements: machineOperationsServer },
  { file: 'operator-gateway.md', requirements: operatorGateway },
  { file: 'shared-api-cache.md', requirements: sharedApiCache },
]
