// The running cache of this machine, for the dashboard.
import { type ReachableSource, folderInUse, reachable } from '../base/control/reachable.ts'
import { shareApi } from './api.ts'
import { shareCalls } from './client.ts'
import { placesIn } from './places.ts'

const source: ReachableSource = {
  async find({ homes }) {
    const control = folderInUse(homes.map(({ folders }) => placesIn(folders).control))
    if (control === undefined) return []
    return [reachable({ id: 'cache', kind: 'cache', name: 'cache', where: control }, shareApi, () => shareCalls({ control }))]
  },
}

export default source
