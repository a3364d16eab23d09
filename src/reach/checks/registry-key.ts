// Has the registry the key that it had when this machine first met it?
import { good, unknown } from '../../base/checks/check.ts'
import type { ReachCheck } from '../examination.ts'
import { serverText } from '../registry/known-registries.ts'

const registryKey: ReachCheck = {
  title: "comparing the registry's key",
  needs: ['registry-protocol'],
  async run({ server, registry, pinned, command }) {
    const at = server()
    if (!at) return []
    const { peerId } = await registry()
    if (pinned() !== undefined) return [good('its key is the pinned one')]
    return [
      unknown(
        `no key is pinned for ${serverText(at)}: ask its owner whether it is ${peerId}`,
        command(`register --server ${serverText(at)}`),
      ),
    ]
  },
}

export default registryKey
