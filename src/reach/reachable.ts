// The peer host of this machine, for the dashboard.
import { join } from 'node:path'
import { type ReachableSource, folderInUse, reachable } from '../base/control/reachable.ts'
import { reachApi } from './api.ts'
import { reachCalls } from './client.ts'

const source: ReachableSource = {
  async find({ homes }) {
    const folder = folderInUse(homes.map(({ folders }) => join(folders.runtime, 'peer')))
    if (folder === undefined) return []
    return [reachable({ id: 'peer', kind: 'peer', name: 'peer host', where: folder }, reachApi, () => reachCalls(folder))]
  },
}

export default source
