// Which network interfaces are wireless: those that the kernel gives a radio.
import { type Host, type Unavailable, isKnown } from './host.ts'

const maxInterfaces = 16
const folder = '/sys/class/net'

export async function wirelessInterfaces(host: Host): Promise<readonly string[] | Unavailable> {
  const names = await host.names(folder)
  if (!isKnown(names)) return names
  const marks = await Promise.all(
    names.map(async (name) => {
      const radio = await Promise.all([host.names(`${folder}/${name}/wireless`), host.names(`${folder}/${name}/phy80211`)])
      return radio.some(isKnown) ? [name] : []
    }),
  )
  const found = marks.flat().sort().slice(0, maxInterfaces)
  return found.length > 0 ? found : { unavailable: 'this machine has no wireless interface' }
}
