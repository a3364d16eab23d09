// Is a proxy between this machine and the registry, and is it used as it has to be?
import { deadline } from '../../kernel/clock.ts'
import { bad, good } from '../../base/checks/check.ts'
import { knock } from '../../base/peer/knock.ts'
import type { ReachCheck } from '../examination.ts'
import { serverTarget, serverText } from '../registry/known-registries.ts'

const patienceMs = 5_000

const proxy: ReachCheck = {
  title: 'looking for a proxy on the way to the registry',
  async run({ clock, server, proxyFor, command }, signal) {
    const at = server()
    if (!at) return []
    const name = serverText(at)
    const target = serverTarget(at)
    const found = proxyFor(target ?? { host: at.host, port: 443, isTls: true })
    if (!found) return [good(`none is named for ${name}: it is asked directly`)]
    const inTime = deadline(clock, patienceMs, signal)
    if (!target) {
      const problem = await knock(at, inTime)
      if (problem === undefined) return [good(`${found.variable} names ${found.name}, but ${name} is reached without it`)]
      const evidence = `${name} does not answer (${problem}), and ${found.variable} names the proxy ${found.name}: it seems that only HTTP leaves this network`
      return [bad(evidence, `${command(`register --server wss://${at.host}`)} (its owner says whether WebSockets are served there)`)]
    }
    const problem = await knock(found, inTime)
    if (problem === undefined) return [good(`${name} is asked through ${found.name}, as ${found.variable} says`)]
    return [
      bad(
        `the proxy ${found.name} does not answer: ${problem}`,
        `is ${found.variable} right? NO_PROXY=${at.host} goes there without it, if this network lets that out`,
      ),
    ]
  },
}

export default proxy
