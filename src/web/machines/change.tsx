// Changes a service: says first what will be done, then does it after a yes, and shows how far it is.
import { useEffect, useState } from 'preact/hooks'
import type { ShownDaemon } from '../../gate/dashboard/client.ts'
import { callsOf } from '../calls.ts'
import { type Failure, failureOf } from '../failure.ts'
import { sizeText } from '../shown/amount.ts'
import { Dialog } from '../shown/dialog.tsx'
import { Problem } from '../shown/problem.tsx'
import { StandingTag } from '../shown/standing.tsx'
import { type NodeCalls, imageText } from './node.ts'

const acts = {
  deploy: { title: 'Deploy', does: 'brings the service to what its definition says' },
  rollback: { title: 'Roll back', does: 'brings back the image that ran well before' },
  restart: { title: 'Restart', does: 'restarts every component of the service' },
  stop: { title: 'Stop', does: 'stops the service for good, until somebody starts it' },
  start: { title: 'Start', does: 'starts the service' },
} as const

export type Changing = { readonly act: keyof typeof acts; readonly service: string }

type Plan = Awaited<ReturnType<NodeCalls['plan-service']>>
type Deployed = Awaited<ReturnType<NodeCalls['deploy']>>['components'][number]
type Progress = {
  readonly component: string
  readonly step: string
  readonly text: string
  readonly doneBytes?: number | undefined
  readonly ofBytes?: number | undefined
}
type State =
  | { readonly is: 'asking' }
  | { readonly is: 'underway' }
  | { readonly is: 'done'; readonly components: readonly Deployed[] }
  | { readonly is: 'failed'; readonly failure: Failure }

export function Change({
  node,
  changing: { act, service },
  close,
}: {
  readonly node: ShownDaemon
  readonly changing: Changing
  readonly close: () => void
}) {
  const [state, setState] = useState<State>({ is: 'asking' })
  const [steps, setSteps] = useState<readonly Progress[]>([])
  const { title, does } = acts[act]
  const start = (): void => {
    setState({ is: 'underway' })
    run(node.id, { act, service }, (step) => setSteps((before) => withStep(before, step))).then(
      (components) => setState({ is: 'done', components }),
      (error: unknown) => setState({ is: 'failed', failure: failureOf(error) }),
    )
  }
  return (
    <Dialog title={`${title} ${service}`} close={close}>
      {state.is === 'asking' && (
        <>
          <p>
            On <strong>{node.name}</strong> this {does}.
          </p>
          {act === 'deploy' && <Planned node={node} service={service} />}
          <p class="row">
            <button type="button" class={act === 'stop' ? 'danger' : 'main'} onClick={start}>
              {title}
            </button>
            <button type="button" onClick={close}>
              Leave it
            </button>
          </p>
        </>
      )}
      <ol class="steps" aria-live="polite">
        {steps.map(({ component, step, text, doneBytes, ofBytes }) => (
          <li key={`${component} ${step} ${text}`}>
            <strong>{component}</strong> {text}
            {doneBytes !== undefined && ofBytes !== undefined && (
              <>
                {' '}
                <progress value={doneBytes} max={ofBytes} aria-label={text} /> {sizeText(doneBytes)} of {sizeText(ofBytes)}
              </>
            )}
          </li>
        ))}
      </ol>
      {state.is === 'underway' && (
        <p class="waiting" role="status">
          Working…
        </p>
      )}
      {state.is === 'failed' && <Problem failure={state.failure} />}
      {state.is === 'done' && (
        <>
          <Outcomes title={title} components={state.components} />
          <p class="row">
            <button type="button" class="main" onClick={close}>
              Close
            </button>
          </p>
        </>
      )}
    </Dialog>
  )
}

/** What it came to for each component; nothing to tell for what has no outcome of its own. */
async function run(id: string, { act, service }: Changing, onItem: (step: Progress) => void): Promise<readonly Deployed[]> {
  const node = callsOf<NodeCalls>(id)
  if (act === 'deploy' || act === 'rollback') return (await node[act]({ service }, { onItem })).components
  if (act === 'restart') await node.restart({ service }, { onItem })
  else await node['set-active']({ service, active: act === 'start' }, { onItem })
  return []
}

/** Bytes that come in change the last line of their step in place. */
function withStep(before: readonly Progress[], step: Progress): readonly Progress[] {
  const at = before.findIndex(({ component, step: name, text }) => component === step.component && name === step.step && text === step.text)
  return at < 0 ? [...before, step] : before.with(at, step)
}

function Outcomes({ title, components }: { readonly title: string; readonly components: readonly Deployed[] }) {
  if (components.length === 0) return <StandingTag standing="good" word={`${title}: done`} />
  return (
    <ul class="outcomes" role="status">
      {components.map(({ component, outcome, image, reason, lastLines }) => {
        const isWell = outcome === 'deployed' || outcome === 'unchanged'
        return (
          <li key={component}>
            <StandingTag standing={isWell ? 'good' : 'bad'} word={`${component}: ${outcome}`} />{' '}
            <span class="tag">{imageText(image.reference)}</span>
            {reason !== null && <p>{reason}</p>}
            {!isWell && lastLines.length > 0 && <pre>{lastLines.join('\n')}</pre>}
          </li>
        )
      })}
    </ul>
  )
}

function Planned({ node, service }: { readonly node: ShownDaemon; readonly service: string }) {
  const [plan, setPlan] = useState<Plan | Failure>()
  useEffect(() => {
    const calls = callsOf<NodeCalls>(node.id)
    calls['plan-service']({ service }).then(setPlan, (error: unknown) => setPlan(failureOf(error)))
  }, [node.id, service])
  if (plan === undefined) return <p class="waiting">Looking what is to be done…</p>
  if (plan instanceof Error) return <Problem failure={plan} />
  return (
    <ul class="plan">
      {plan.map(({ component, way, changes, steps }) => (
        <li key={component}>
          <strong>{component}</strong> {way === 'nothing' ? 'stays as it is' : ways[way]}
          {changes.map(({ field, from, to }) => (
            <p key={field} class="drift">
              <strong>{field}</strong> <del>{from}</del> <span aria-hidden="true">→</span> <ins>{to}</ins>
            </p>
          ))}
          {steps.length > 0 && <p class="hint">{steps.join(', then ')}</p>}
        </li>
      ))}
    </ul>
  )
}

const ways = { beside: 'the new one is started beside the old one', 'in-place': 'the old one is stopped first' } as const
