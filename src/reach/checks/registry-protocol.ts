// Is what answers there a registry that we can talk to?
import { asFault } from '../../kernel/fault.ts'
import { bad, good } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'
import { serverText } from '../registry/known-registries.ts'

const registryProtocol: ReachCheck = {
  title: 'talking to the registry',
  needs: ['registry-answers'],
  async run({ server, anyRegistry, host }) {
    const at = server()
    if (!at) return []
    try {
      const client = await anyRegistry()
      await client.lookup((await host()).peerId)
      return [good(`it is a Fairlead registry, ${client.peerId}`)]
    } catch (error) {
      const { message, details } = asFault(error)
      const problem = typeof details['problem'] === 'string' ? details['problem'] : message
      return [
        bad(
          `${serverText(at)} answers, but not as a registry: ${problem}`,
          `on ${at.host}: ss -ltnp 'sport = :${at.port}' (is it a registry, and of this version?)`,
        ),
      ]
    }
  },
}

export default registryProtocol
