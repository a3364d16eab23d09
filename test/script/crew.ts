// A stage of machines with systemd on one network: on each a person who may use sudo, with this checkout in their home; one of them is GitHub to the others.
import { type Nodes, createNodes, obstacle as noNodes } from '../bed/nodes.ts'
import { checkout, checkoutAtHome, hostOf, missingTools, shared } from './machines.ts'
import type { Stage } from './stage.ts'

export interface Crew extends Stage {
  readonly nodes: Nodes
}

/** Why there can be none here; undefined when there can. */
export function obstacle(tools: readonly string[]): string | undefined {
  return noNodes() ?? missingTools(['sudo', 'script', ...tools])
}

/** Names lead to the machine `github` where there is one. Believed is whom it has as its authority, once `/run/github/ca.pem` is there. */
const furniture = (github: string): string => `set -eu
useradd --uid 20002 --create-home --shell /bin/bash user
echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
echo '${github} api.github.com api.ipify.org' >>/etc/hosts
${checkoutAtHome}`

export async function createCrew(names: readonly string[]): Promise<Crew> {
  const nodes = await createNodes(names, { mounts: [`${checkout}:${shared}:ro`] })
  try {
    for (const name of names) {
      const { code, stderr } = await nodes.exec(name, ['sh', '-s'], { input: furniture(nodes.address('github')) })
      if (code !== 0) throw new Error(`${name} could not be furnished: ${stderr}`)
    }
    return { nodes, hosts: new Map(names.map((name) => [name, hostOf(nodes, name)])), close: () => nodes.close() }
  } catch (error) {
    await nodes.close()
    throw error
  }
}
