// The machine server that the dashboard asks how this machine is.
import { hostname } from 'node:os'
import { join } from 'node:path'
import { type ReachableSource, folderInUse, reachable } from '../base/control/reachable.ts'
import { machineApi } from './api.ts'
import { machineCalls } from './client.ts'

const source: ReachableSource = {
  async find({ homes }) {
    const folder = folderInUse(homes.map(({ folders }) => join(folders.runtime, 'machine')))
    if (folder === undefined) return []
    return [reachable({ id: 'machine', kind: 'machine', name: hostname(), where: folder }, machineApi, () => machineCalls(folder))]
  },
}

export default source
