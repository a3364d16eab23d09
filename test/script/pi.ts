// A stage with one machine: systemd, a person who may use sudo, this checkout in their home, and a disk for backups that outlives the machine.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Nodes, createNodes, obstacle as noNodes } from '../bed/nodes.ts'
import { checkout, checkoutAtHome, hostOf, missingTools, shared } from './machines.ts'
import type { Host, Stage } from './stage.ts'

export interface Pi extends Stage {
  readonly nodes: Nodes
  /** The machine is lost, and another one takes its name. */
  replace(): Promise<void>
}

/** Why there can be none here; undefined when there can. */
export function obstacle(tools: readonly string[]): string | undefined {
  return noNodes() ?? missingTools(['sudo', 'script', ...tools])
}

const furniture = `set -eu
useradd --uid 20002 --create-home --shell /bin/bash user
echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
${checkoutAtHome}`

export async function createPi([name]: readonly string[]): Promise<Pi> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-pi-'))
  const backups = join(folder, 'backup')
  mkdirSync(backups, { mode: 0o700 })
  const nodes = await createNodes([], { mounts: [`${checkout}:${shared}:ro`, `${backups}:/backup`] })
  const hosts = new Map<string, Host>()
  const close = async (): Promise<void> => {
    await nodes.close()
    rmSync(folder, { recursive: true, force: true })
  }
  const add = async (): Promise<void> => {
    await nodes.add(name!)
    const { code, stderr } = await nodes.exec(name!, ['sh', '-s'], { input: furniture })
    if (code !== 0) throw new Error(`${name} could not be furnished: ${stderr}`)
    hosts.set(name!, hostOf(nodes, name!))
  }
  try {
    await add()
  } catch (error) {
    await close()
    throw error
  }
  return {
    nodes,
    hosts,
    close,
    async replace() {
      await nodes.destroy(name!)
      await add()
    },
  }
}
