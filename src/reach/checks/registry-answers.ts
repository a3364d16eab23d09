// Does anything listen where the registry should be?
import { deadline } from '../../kernel/clock.ts'
import { bad, good } from '../../base/checks/check.ts'
import { knock, knockForWebSocket } from '../../base/peer/knock.ts'
import type { ReachCheck } from '../examination.ts'
import { type Server, serverTarget, serverText } from '../registry/known-registries.ts'

const patienceMs = 5_000

const registryAnswers: ReachCheck = {
  title: 'knocking at the registry',
  needs: ['proxy'],
  async run({ clock, server, proxyFor, command }, signal) {
    const at = server()
    if (!at) return []
    const inTime = deadline(clock, patienceMs, signal)
    const target = serverTarget(at)
    const problem = await (target ? knockForWebSocket(target, proxyFor, inTime) : knock(at, inTime))
    if (problem === undefined) return [good(`${serverText(at)} answers`)]
    const remedy = target ? webRemedyOf(problem, at, command) : remedyOf(problem, at, command)
    return [bad(`${serverText(at)} does not answer: ${problem}`, remedy)]
  },
}

function remedyOf(problem: string, { host, port }: Server, command: (words: string) => string): string {
  if (problem.includes('ECONNREFUSED')) return `${isHere(host) ? '' : `on ${host}: `}${command(`registry --port ${port}`)}`
  if (/ENOTFOUND|EAI_AGAIN/.test(problem)) return `getent hosts ${host} (is the name right? then: --server HOST:PORT)`
  return `telnet ${host} ${port} (is a firewall in between? the port must be open to this machine)`
}

/** What was met on the way to a WebSocket says in words what it wants (`base/peer/websocket/dial.ts`). */
function webRemedyOf(problem: string, { host, port }: Server, command: (words: string) => string): string {
  if (problem.includes('does not let us')) return `ask whoever runs the proxy to let CONNECT through to ${host}:${port}`
  if (problem.includes('asks for a name')) return 'put name and password into that variable'
  if (problem.includes('not trusted here'))
    return "NODE_EXTRA_CA_CERTS=FILE with the authority's certificate, in the environment of this program"
  if (problem.includes("somebody else's")) return `is ${host} the right name, and is the certificate of its web server for it?`
  if (problem.includes('no WebSocket is there'))
    return `on ${host}: ${command('registry --listen /ip4/127.0.0.1/tcp/8780/ws')}, and a web server at ${port} that passes WebSockets on to it`
  return `telnet ${host} ${port} (is it running? is something in between?)`
}

function isHere(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

export default registryAnswers
