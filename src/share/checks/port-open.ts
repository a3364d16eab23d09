// Does anything answer at the address and port of the host?
import { isIP } from 'node:net'
import { bad, good, unknown } from '../../base/checks/check.ts'
import { deadline } from '../../kernel/clock.ts'
import { knock } from '../../base/peer/knock.ts'
import { type ShareCheck, ofEachHost, placeOf } from '../examination.ts'
import { isPrivate } from '../public-address.ts'

const patienceMs = 5_000

const portOpen: ShareCheck = {
  title: 'knocking at the port of the host',
  needs: ['bootstrap-peers'],
  timeoutMs: 8_000,
  run: (examination, signal) =>
    ofEachHost(examination, async (way) => {
      const place = placeOf(way)
      if (!place) return unknown('not asked: the address has another way than TCP')
      const { host, port } = place
      const problem = await knock(place, deadline(examination.clock, patienceMs, signal))
      if (problem === undefined) return good('something listens there')
      if (/ECONNREFUSED/.test(problem))
        return bad('nothing listens there (refused)', 'on the host: systemctl status ipfs-accelerate-mcp, or: fairlead share host')
      if (/ENOTFOUND|EAI_AGAIN/.test(problem)) return bad(`the name leads nowhere (${problem})`, 'correct the name in the address')
      const firewall = `let TCP port ${port} in: sudo ufw allow ${port}/tcp on the host, and a rule of the cloud that it is in`
      const nat =
        isIP(host) && isPrivate(host)
          ? `${host} is private, and reached from its own network alone: for others forward a port to it, and fairlead share address --public-ip IP`
          : `behind NAT forward the port to the host; is ${host} still its address?`
      return bad(`Timeout connecting to bootstrap peer (${problem})`, `${firewall}; ${nat}`)
    }),
}

export default portOpen
