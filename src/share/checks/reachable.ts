// Can runners come to the host that runs here?
import { bad, good } from '../../base/checks/check.ts'
import { knock } from '../../base/peer/knock.ts'
import { deadline } from '../../kernel/clock.ts'
import { isLoopback } from '../../base/http/host.ts'
import { wayAt } from '../cluster/cluster.ts'
import { type ShareCheck, placeOf } from '../examination.ts'
import { isPrivate } from '../public-address.ts'

const patienceMs = 3_000

const reachable: ShareCheck = {
  title: 'knocking at the addresses of this host',
  needs: ['running'],
  async run({ told, clock }, signal) {
    const found = await told()
    if (found?.role !== 'host') return []
    const places = found.addresses.flatMap((address) => placeOf(wayAt(address)!) ?? [])
    const own = places.find(({ host }) => !isLoopback(host))
    if (!own) return [bad('it listens for this machine alone', 'start it without --listen')]
    const problem = await knock(own, deadline(clock, patienceMs, signal))
    if (problem !== undefined) return [bad(`${own.host}, port ${own.port}: ${problem}`, `sudo ufw allow ${own.port}/tcp`)]
    if (places.some(({ host }) => !isPrivate(host))) return [good(`it listens at ${own.host}, port ${own.port}`)]
    return [
      good(
        `it listens at ${own.host}, port ${own.port}, in a private network; for runners elsewhere forward TCP port ${own.port} to it, and give them: fairlead share address --public-ip IP`,
      ),
    ]
  },
}

export default reachable
