// The running cache of this machine, for the dashboard.
import { join } from 'node:path'
import { socketNames } from '../base/control/api.ts'
import { type ReachableSource, reachable } from '../base/control/reachable.ts'
import { statOf } from '../kernel/file.ts'
import { shareApi } from './api.ts'
import { shareCalls } from './client.ts'
import { placesIn } from './places.ts'

const source: ReachableSource = {
  async find({ homes }) {
    const places = homes.map(({ folders }) => placesIn(folders)).find(({ control }) => statOf(join(control, socketNames.observe)))
    if (!places) return []
    return [reachable({ id: 'cache', kind: 'cache', name: 'cache', where: places.control }, shareApi, () => shareCalls(places))]
  },
}

export default source
