// What lets others in: connectors with their rotation window, the doctrine with its evidence, and who may come in with what.
import type { GateCalls } from '../../gate/client.ts'
import { useLive } from '../live.ts'
import { type PageNeeds, page } from '../page.ts'
import { Loaded, None } from '../shown/empty.tsx'
import { Connectors } from '../credentials/connectors.tsx'
import { Doctrine } from '../credentials/doctrine.tsx'

type Principals = Awaited<ReturnType<GateCalls['list-principals']>>

export default page({
  title: 'Credentials',
  order: 7,
  icon: 'M8 10a4 4 0 1 0 .1 0M11 14h10v4M17 14v3',
  View({ signed }: PageNeeds) {
    const connectors = useLive<GateCalls, 'list-connectors'>('gate', 'list-connectors', {}, 1_000)
    const doctrine = useLive<GateCalls, 'show-doctrine'>('gate', 'show-doctrine', {}, 15_000)
    const principals = useLive<GateCalls, 'list-principals'>('gate', 'list-principals', {}, 10_000)
    return (
      <>
        <section aria-labelledby="connectors">
          <h2 id="connectors">Connectors</h2>
          <Loaded of={connectors}>{(value) => <Connectors connectors={value} signed={signed} />}</Loaded>
        </section>
        <section aria-labelledby="doctrine">
          <h2 id="doctrine">Doctrine</h2>
          <Loaded of={doctrine}>{(value) => <Doctrine findings={value} />}</Loaded>
        </section>
        <section aria-labelledby="principals">
          <h2 id="principals">Who may come in</h2>
          <Loaded of={principals}>{(value) => <WhoMay principals={value} />}</Loaded>
        </section>
      </>
    )
  },
})

function WhoMay({ principals }: { readonly principals: Principals }) {
  if (principals.length === 0) return <None>Nobody: [gate.principals] in fairlead.toml names them.</None>
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Principals">
      <table>
        <thead>
          <tr>
            <th scope="col">Principal</th>
            <th scope="col">Tokens, by the beginning of their SHA-256</th>
            <th scope="col">Peers</th>
            <th scope="col">Metrics</th>
          </tr>
        </thead>
        <tbody>
          {principals.map(({ name, tokens, peers, mayReadMetrics }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{tokens.length === 0 ? 'none' : tokens.map((token) => <code key={token}>{token}</code>)}</td>
              <td>{peers.length === 0 ? 'none' : peers.map((peer) => <code key={peer}>{peer}</code>)}</td>
              <td>{mayReadMetrics ? 'may read' : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
