// The machine's server as an offer of its daemon, with its health as it is told to everybody.
import { hash } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { type Offer, OfferList, type Offers } from '../base/control/offers.ts'
import type { MachineServer } from './server.ts'

/** How long a change of health may go unnoticed. */
const lookEveryMs = 5_000

/** One offer, `machine`; looked at until it is disposed of. */
export async function machineOffers(
  { clock }: { readonly clock: Clock },
  server: Pick<MachineServer, 'url' | 'healthUrl' | 'health'>,
  version: string,
): Promise<Offers & Disposable> {
  const list = new OfferList()
  const look = async (): Promise<void> => {
    const { isOk, reason } = await server.health()
    const offer: Offer = {
      id: 'machine',
      transport: 'http',
      address: server.url,
      health: isOk ? 'ok' : 'failing',
      ...(reason === undefined ? {} : { reason }),
      probe: `GET ${server.healthUrl}`,
      digest: hash('sha256', `${server.url} ${version}`),
    }
    list.set([offer])
  }
  let isOver = false
  let cancel = (): void => {}
  const again = (): void => {
    if (!isOver) cancel = clock.after(lookEveryMs, () => void look().finally(again))
  }
  await look()
  again()
  return {
    list: () => list.list(),
    watch: (onChange) => list.watch(onChange),
    [Symbol.dispose]() {
      isOver = true
      cancel()
    },
  }
}
