// Tools that are held back because their definition is not the one that was accepted: what it was, what it is now, and a person's yes to exactly that.
import type { Signed } from '../../gate/dashboard/client.ts'
import type { GateCalls } from '../../gate/client.ts'
import { callsOf } from '../calls.ts'
import { useLive } from '../live.ts'
import { Act } from '../shown/act.tsx'
import { Problem } from '../shown/problem.tsx'
import { Sign } from '../shown/standing.tsx'

type Held = Awaited<ReturnType<GateCalls['list-tools']>>[number]

export function Quarantine({ signed }: { readonly signed: Signed }) {
  const { value: held = [], failure } = useLive<GateCalls, 'list-tools'>('gate', 'list-tools', {}, 2_000)
  if (held.length === 0 && !failure) return null
  return (
    <section aria-labelledby="quarantine">
      <h2 id="quarantine">Held back</h2>
      {failure && <Problem failure={failure} />}
      <ul class="list">
        {held.map((tool) => (
          <Tool key={`${tool.upstream} ${tool.tool}`} held={tool} mayChange={signed.level === 'change'} />
        ))}
      </ul>
    </section>
  )
}

function Tool({ held, mayChange }: { readonly held: Held; readonly mayChange: boolean }) {
  const { upstream, tool, fingerprint, reasons, before, now } = held
  const accept = () => callsOf<GateCalls>('gate')['accept-tool']({ upstream, tool, fingerprint })
  return (
    <li>
      <Sign standing="bad" word="held back" />
      <div>
        <p>
          <strong>{tool}</strong> of {upstream}
        </p>
        {reasons.map((reason) => (
          <p key={reason}>{reason}</p>
        ))}
        <details>
          <summary>Look at the definition</summary>
          <div class="beside">
            {before !== undefined && <Definition title="As it was accepted" text={before} />}
            <Definition title="As it is now" text={now} />
          </div>
        </details>
        {mayChange && (
          <p class="row">
            <Act kind="main" act={accept} label={`Accept it as it is now: ${tool} of ${upstream}`}>
              Accept it as it is now
            </Act>
          </p>
        )}
      </div>
    </li>
  )
}

function Definition({ title, text }: { readonly title: string; readonly text: string }) {
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  )
}
