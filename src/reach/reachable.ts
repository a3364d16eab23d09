// The peer hosts of this machine, for the dashboard: the one of a node that is up.
import { join } from 'node:path'
import { socketNames } from '../base/control/api.ts'
import { type ReachableSource, reachable } from '../base/control/reachable.ts'
import { statOf } from '../kernel/file.ts'
import { reachApi } from './api.ts'
import { reachCalls } from './client.ts'

const source: ReachableSource = {
  async find({ homes }) {
    const folder = homes.map(({ folders }) => join(folders.runtime, 'peer')).find((one) => statOf(join(one, socketNames.observe)))
    if (folder === undefined) return []
    return [reachable({ id: 'peer', kind: 'peer', name: 'peer host', where: folder }, reachApi, () => reachCalls(folder))]
  },
}

export default source
