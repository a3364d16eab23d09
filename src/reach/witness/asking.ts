// Does what is to be asked of a witness on a host that dials it: by its id it is always the same one, even if a name goes to somebody else meanwhile.
import type { Context } from '../../base/terminal/command.ts'
import { peerDial } from '../finding/find-peer.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { type SearchFlags, searchesOf } from '../finding/searches.ts'
import { type HomeFlags, dialingHost, homeOf } from '../home.ts'
import { connectRegistry } from '../registry/client.ts'
import { knownRegistries } from '../registry/known-registries.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { succession, tellSuccession } from '../succession/teller.ts'
import type { WitnessClientNeeds } from './client.ts'
import { witnessProtocol } from './protocol.ts'

export type AskingFlags = HomeFlags & SearchFlags & { readonly server: string | undefined; readonly address: readonly string[] }

/** `act` is told our own id, too. Faults of `dialingHost` and `act`; those of the dial in the runbook's words. */
export async function askingWitness<Found>(
  context: Context,
  flags: AskingFlags,
  peer: string,
  act: (needs: WitnessClientNeeds, ownId: string) => Promise<Found>,
): Promise<Found> {
  const { clock, signal } = context
  const home = homeOf(context, flags)
  const known = knownRegistries(home.registries)
  const server = known.choose(flags.server)
  const host = await dialingHost(context, flags)
  tellSuccession({ host, clock }, () => succession(home.succession, host.peerId)) // the witness may know us by an earlier key
  try {
    const registry = (asking?: AbortSignal) => connectRegistry({ host, clock, known }, server, asking)
    const dial = peerDial(
      { host, clock, known: knownAddresses(home.addresses), statements: knownStatements(home.statements), registry },
      { peer, addresses: flags.address, protocol: witnessProtocol, searches: searchesOf({ host, home, clock }, flags, server) },
    )
    return await act({ clock, dial: () => dial(signal) }, host.peerId)
  } finally {
    await host.close()
  }
}
