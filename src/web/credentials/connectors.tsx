// Connectors as they stand, each with the rest of its rotation window; rotating, freezing and restoring them.
import { useState } from 'preact/hooks'
import type { GateCalls } from '../../gate/client.ts'
import type { Signed } from '../../gate/dashboard/client.ts'
import { callsOf } from '../calls.ts'
import { Act } from '../shown/act.tsx'
import { Countdown } from '../shown/countdown.tsx'
import { None } from '../shown/empty.tsx'
import { type Standing, StandingTag } from '../shown/standing.tsx'
import { Ago } from '../shown/time.tsx'
import { Rotate } from './rotate.tsx'

type Connector = Awaited<ReturnType<GateCalls['list-connectors']>>[number]

const hourMs = 3_600_000
/** The longest overlap: what is left of one is shown as a part of ten minutes, or of itself. */
const usualOverlapMs = 600_000

const standings: Readonly<Record<Connector['status'], { readonly standing: Standing; readonly word: string }>> = {
  alive: { standing: 'good', word: 'alive' },
  quiet: { standing: 'unknown', word: 'no session' },
  late: { standing: 'bad', word: 'late' },
  stale: { standing: 'bad', word: 'credential too old' },
  unissued: { standing: 'off', word: 'no credential yet' },
  frozen: { standing: 'bad', word: 'frozen' },
}

type Props = { readonly connectors: readonly Connector[]; readonly signed: Signed }

export function Connectors({ connectors, signed }: Props) {
  const [rotating, setRotating] = useState<string | undefined>(undefined)
  if (connectors.length === 0) return <None>This gate has no connectors.</None>
  const mayChange = signed.level === 'change'
  const gate = callsOf<GateCalls>('gate')
  const frozen = connectors.find((one) => one.frozen)?.frozen
  return (
    <>
      {frozen && (
        <p class="banner" role="status">
          All connectors are frozen, <Ago at={Date.parse(frozen.since)} />: {frozen.why}
        </p>
      )}
      <div class="cards">
        {connectors.map((connector) => (
          <Card
            key={connector.connector_id}
            connector={connector}
            rotate={mayChange && !frozen && !connector.rotation ? () => setRotating(connector.connector_id) : undefined}
          />
        ))}
      </div>
      {mayChange && (
        <p class="row">
          {frozen ? (
            <Act kind="main" act={() => gate['restore-connectors']({})}>
              Let all connectors in again
            </Act>
          ) : (
            <Act kind="danger" act={() => gate['freeze-connectors']({ why: `${signed.person} froze them from the dashboard` })}>
              Freeze all connectors
            </Act>
          )}
        </p>
      )}
      {rotating !== undefined && (
        <Rotate
          connector={rotating}
          all={connectors.map(({ connector_id: id }) => id)}
          isFirst={(id) => connectors.some((one) => one.connector_id === id && one.rotated_at === null)}
          close={() => setRotating(undefined)}
        />
      )}
    </>
  )
}

function Card({ connector, rotate }: { readonly connector: Connector; readonly rotate: (() => void) | undefined }) {
  const { connector_id: id, status, window_hours: hours, rotated_at: rotated, credential_expiry: expiry, fingerprint, rotation } = connector
  const words = rotated === null ? 'Make its first credential' : 'Rotate now'
  return (
    <article class="card" aria-label={id}>
      <header>
        <h3>{id}</h3>
        <StandingTag {...standings[status]} />
      </header>
      <dl>
        {expiry !== null && (
          <div>
            <dt>window</dt>
            <dd>
              <Countdown until={Date.parse(expiry)} ofMs={hours * hourMs} label={`until the credential of ${id} is too old`} />
            </dd>
          </div>
        )}
        {rotated !== null && (
          <div>
            <dt>rotated</dt>
            <dd>
              <Ago at={Date.parse(rotated)} />, to <code>{fingerprint}</code>
            </dd>
          </div>
        )}
        {rotation && (
          <div>
            <dt>rotating to</dt>
            <dd>
              <code>{rotation.fingerprint}</code>, {rotation.proved ? 'proved' : 'waits for a handshake with it'}{' '}
              <Countdown until={Date.parse(rotation.until)} ofMs={usualOverlapMs} label={`until the rotation of ${id} ends`} />
            </dd>
          </div>
        )}
        <Sessions sessions={connector.sessions} />
      </dl>
      {rotate && (
        <p class="row">
          <button type="button" class="main" onClick={rotate} aria-label={`${words}: ${id}`}>
            {words}
          </button>
        </p>
      )}
    </article>
  )
}

function Sessions({ sessions }: Pick<Connector, 'sessions'>) {
  if (sessions.length === 0) return null
  return (
    <div>
      <dt>{sessions.length === 1 ? 'session' : 'sessions'}</dt>
      <dd>
        <ul class="plain">
          {sessions.map(({ id, instance, version, heartbeat, late_since: late }) => (
            <li key={id}>
              {instance} {version}:{' '}
              {heartbeat ? (
                <>
                  beat {heartbeat.cycle_count}, <Ago at={Date.parse(heartbeat.received_at)} />
                </>
              ) : (
                'no heartbeat yet'
              )}
              {late !== null && (
                <>
                  , late, <Ago at={Date.parse(late)} />
                </>
              )}
            </li>
          ))}
        </ul>
      </dd>
    </div>
  )
}
