// Says who we are: name, whole peer id, folders, and what the registry knows of us.
import { deadline } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { command } from '../../base/terminal/command.ts'
import { reachability } from '../../base/peer/address.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { publicKeyOf } from '../../base/identity/identity.ts'
import { fingerprintOf } from '../../base/identity/ssh-agent.ts'
import { readWalletCard, fault as walletFault } from '../../base/identity/wallet.ts'
import { type Seen, sightingsOf } from '../../base/ledger/sightings.ts'
import { historyPlace } from '../history.ts'
import { homeFlags, homeOf } from '../home.ts'
import { messagesAfter } from '../message/inbox.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { knownRegistries, serverTarget, serverText } from '../registry/known-registries.ts'
import { askRegistry } from '../registry/lookup.ts'
import { rotationIsUnfinished } from '../succession/rotation.ts'
import { ageText } from '../shown.ts'
import { succession } from '../succession/teller.ts'

const patienceMs = 3_000

export default command({
  summary: 'show who we are, where our files are, and how others reach us',
  description: 'The registry is asked only if this identity was registered once; a registry that does not answer is no failure.',
  flags: homeFlags,
  examples: [['fairlead reach status', 'name, whole peer id, folder, registry and addresses']],
  async run({ env, terminal, folders, clock, log, signal }, { flags }) {
    const home = homeOf({ folders }, flags)
    const card = readWalletCard(home.wallet)
    if (!card) throw walletFault.missing({ path: home.wallet })
    const standing = knownStatements(home.statements).standing(card.peerId)
    const earlier = succession(home.succession, card.peerId).at(-1)
    const isUnfinished = rotationIsUnfinished(home)
    const { signed, seen } = sightingsOf(historyPlace(home), card.peerId)
    const known = knownRegistries(home.registries)
    const server = known.last()
    const proxyFor = proxiesOf(env)
    let problem: string | undefined
    const inTime = deadline(clock, patienceMs, signal)
    const ours = server
      ? await askRegistry(
          { clock, log, known, proxyFor },
          server,
          async (registry) => (await registry.lookup(card.peerId))[0],
          inTime,
        ).catch((error: unknown) => {
          problem = inTime.aborted ? `no answer within ${patienceMs / 1000} s` : asFault(error).message
          return undefined
        })
      : undefined
    const target = ours && server && serverTarget(server)
    const proxy = target && proxyFor(target)?.name
    const status = {
      name: card.name,
      peerId: card.peerId,
      folder: home.folder,
      wallet: home.wallet,
      sealed: card.isSealed,
      isInKeychain: card.keychain !== undefined,
      agentKey: card.isInAgent ? fingerprintOf(publicKeyOf(card.peerId)) : undefined,
      ...(earlier ? { rotatedFrom: earlier.peerId, rotatedAt: new Date(earlier.at).toISOString() } : {}),
      ...(standing.is === 'revoked' ? { revokedAt: new Date(standing.at).toISOString() } : {}),
      ...(isUnfinished ? { rotation: 'unfinished' } : {}),
      registry: server
        ? {
            server: serverText(server),
            peerId: known.keyOf(server),
            isRegistered: ours !== undefined,
            ...(problem ? { problem } : {}),
            ...(proxy ? { proxy } : {}),
          }
        : undefined,
      addresses: ours?.addresses ?? [],
      proved: ours?.proved ?? [],
      reachability: reachability(ours?.addresses ?? [], ours?.proved ?? []),
      counts: {
        registries: known.count(),
        peersReached: knownAddresses(home.addresses).count(),
        messages: messagesAfter(home.inbox).length,
      },
      history: { signed, witnessed: seen.map(({ by, at, size }) => ({ by, at: new Date(at).toISOString(), size })) },
    }
    terminal.result(status, () => {
      const registered = ours ? `registered ${ageText(ours.ageMs)}` : (problem ?? 'not registered there')
      return [
        `name          ${card.name}`,
        `peer id       ${terminal.style.bold(card.peerId)}`,
        ...(standing.is === 'revoked' ? [`revoked       ${new Date(standing.at).toISOString()}: this key counts no more`] : []),
        ...(earlier ? [`rotated from  ${earlier.peerId}, ${new Date(earlier.at).toISOString()}`] : []),
        ...(isUnfinished ? ['rotation      stopped on the way: run "fairlead reach rotate" again'] : []),
        `folder        ${home.folder}`,
        `wallet        ${home.wallet}${keyText(status)}`,
        `registry      ${server ? `${serverText(server)}: ${registered}${proxy ? `, through the proxy ${proxy}` : ''}` : 'none yet: fairlead reach register --server HOST'}`,
        `reachability  ${status.reachability}`,
        ...status.addresses.map((address, i) => `${i === 0 ? 'addresses     ' : '              '}${address}`),
        `remembered    ${status.counts.peersReached} peers, ${status.counts.registries} registries`,
        `inbox         ${status.counts.messages} messages`,
        `history       ${signed === 0 ? 'nothing signed yet' : `signed up to ${signed}, ${witnessedText(seen, clock.now())}`}`,
      ].join('\n')
    })
  },
})

/** Only what is kept: whether it holds is for "history --verify" to say. */
function witnessedText([last, ...others]: readonly Seen[], now: number): string {
  if (!last) return 'witnessed by nobody'
  const more = others.length > 0 ? `, and by ${others.length} more` : ''
  return `witnessed up to ${last.size} by ${last.by} ${ageText(Math.max(0, now - last.at))}${more}`
}

/** Where the key lies, when it is not simply in the wallet. */
function keyText({ sealed, isInKeychain, agentKey }: { sealed: boolean; isInKeychain: boolean; agentKey: string | undefined }): string {
  if (agentKey !== undefined) return ` (its key is in ssh-agent: ${agentKey})`
  if (!sealed) return ''
  return isInKeychain ? ' (sealed with a passphrase that the keychain remembers)' : ' (sealed with a passphrase)'
}
