// The doctrine: what was looked at, what was seen, and what to do about it; what is not good comes first.
import type { GateCalls } from '../../gate/client.ts'
import { None } from '../shown/empty.tsx'
import { Sign } from '../shown/standing.tsx'

type Findings = Awaited<ReturnType<GateCalls['show-doctrine']>>

const order = { bad: 0, unknown: 1, good: 2 } as const

export function Doctrine({ findings }: { readonly findings: Findings }) {
  if (findings.length === 0) return <None>This gate was started without its doctrine.</None>
  const sorted = findings.toSorted((a, b) => order[a.verdict] - order[b.verdict])
  const bad = findings.filter(({ verdict }) => verdict === 'bad').length
  const unknown = findings.filter(({ verdict }) => verdict === 'unknown').length
  return (
    <>
      <p>
        {findings.length} findings: {bad} bad, {unknown} unknown.
      </p>
      <ul class="list">
        {sorted.map(({ name, verdict, about, evidence, remedy }, at) => (
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
    </>
  )
}
