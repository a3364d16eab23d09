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

/** The names of GitHub lead to the machine `github`. The program is there for all users, as npm would put it. */
const furniture = (github: string): string => `set -eu
useradd --uid 20002 --create-home --shell /bin/bash user
echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
echo '${github} api.github.com api.ipify.org' >>/etc/hosts
mkdir -p /usr/local/lib/node_modules/fairlead /usr/local/bin
mount --bind ${shared} /usr/local/lib/node_modules/fairlead
ln -sf ../lib/node_modules/fairlead/bin/fairlead /usr/local/bin/fairlead
${checkoutAtHome}`

export async function createCrew(names: readonly string[]): Promise<Crew> {
  const nodes = await createNodes(names, { mounts: [`${checkout}:${shared}:ro`] })
  try {
    const furnish = async (name: string): Promise<void> => {
      const { code, stderr } = await nodes.exec(name, ['sh', '-s'], { input: furniture(nodes.address('github')) })
      if (code !== 0) throw new Error(`${name} could not be furnished: ${stderr}`)
    }
    await Promise.all(names.map(furnish))
    return { nodes, hosts: new Map(names.map((name) => [name, hostOf(nodes, name)])), close: () => nodes.close() }
  } catch (error) {
    await nodes.close()
    throw error
  }
}
