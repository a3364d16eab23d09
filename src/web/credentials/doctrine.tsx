// The doctrine: what was looked at, what was seen, and what to do about it; what is not good comes first.
import type { GateCalls } from '../../gate/client.ts'
import { None } from '../shown/empty.tsx'
import { Sign } from '../shown/standing.tsx'

type Finding = Awaited<ReturnType<GateCalls['show-doctrine']>>[number]

export function Doctrine({ findings }: { readonly findings: readonly Finding[] }) {
  if (findings.length === 0) return <None>This gate was started without its doctrine.</None>
  const of = (wanted: Finding['verdict']): readonly Finding[] => findings.filter(({ verdict }) => verdict === wanted)
  const [bad, unknown, good] = [of('bad'), of('unknown'), of('good')]
  return (
    <>
      <p>
        {bad.length} bad, {unknown.length} unknown, {good.length} good.
      </p>
      <List findings={[...bad, ...unknown]} />
      {good.length > 0 && (
        <details>
          <summary>What is good, with its evidence</summary>
          <List findings={good} />
        </details>
      )}
    </>
  )
}

function List({ findings }: { readonly findings: readonly Finding[] }) {
  return (
    <ul class="list">
      {findings.map(({ name, verdict, about, evidence, remedy }, at) => (
        <li key={`${name} ${about} ${at}`}>
          <Sign standing={verdict} word={verdict} />
          <div>
            <p>
              <strong>{name}</strong> {about !== undefined && <span class="tag">{about}</span>}
            </p>
            <p>{evidence}</p>
            {remedy !== undefined && (
              <p class="remedy">
                <code>{remedy}</code>
              </p>
            )}
          </div>
        </li>
      ))}
    </ul>
  )
}
