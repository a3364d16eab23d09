// Does anything listen where the registry should be?
import { deadline } from '../../kernel/clock.ts'
import { bad, good } from '../../base/checks/check.ts'
import { knock } from '../../base/peer/knock.ts'
import type { ReachCheck } from '../examination.ts'
import { type Server, serverText } from '../registry/known-registries.ts'

const patienceMs = 5_000

const registryAnswers: ReachCheck = {
  title: 'knocking at the registry',
  async run({ clock, server, command }, signal) {
    const at = server()
    if (!at) return []
    const problem = await knock(at, deadline(clock, patienceMs, signal))
    if (problem === undefined) return [good(`${serverText(at)} answers`)]
    return [bad(`${serverText(at)} does not answer: ${problem}`, remedyOf(problem, at, command))]
  },
}

function remedyOf(problem: string, { host, port }: Server, command: (words: string) => string): string {
  if (problem.includes('ECONNREFUSED')) return `${isHere(host) ? '' : `on ${host}: `}${command(`registry --port ${port}`)}`
  if (/ENOTFOUND|EAI_AGAIN/.test(problem)) return `getent hosts ${host} (is the name right? then: --server HOST:PORT)`
  return `telnet ${host} ${port} (is a firewall in between? the port must be open to this machine)`
}

function isHere(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

export default registryAnswers
