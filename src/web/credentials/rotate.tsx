// A rotation from the browser: the credential is made here and shown once, and the gate learns its hash alone.
import { useState } from 'preact/hooks'
import type { GateCalls } from '../../gate/client.ts'
import { callsOf } from '../calls.ts'
import { useLive } from '../live.ts'
import { canMakeSecrets, makeCredential, sha256 } from '../secret.ts'
import { Act } from '../shown/act.tsx'
import { Dialog } from '../shown/dialog.tsx'
import { StandingTag } from '../shown/standing.tsx'

const overlaps = [
  [60_000, 'one minute'],
  [600_000, 'ten minutes'],
  [3_600_000, 'one hour'],
  [86_400_000, 'one day'],
] as const

type Made = { readonly connectors: string[]; readonly credential: string; readonly sha256: string }

type Props = {
  readonly connector: string
  readonly all: readonly string[]
  /** Whether it has no credential yet, so that there is no old one to end. */
  readonly isFirst: (connector: string) => boolean
  readonly close: () => void
}

export function Rotate({ connector, all, isFirst, close }: Props) {
  const [chosen, choose] = useState<readonly string[]>([connector])
  const [overlapMs, setOverlap] = useState(600_000)
  const [made, setMade] = useState<Made | undefined>(undefined)
  const rotate = async (): Promise<void> => {
    const credential = makeCredential()
    const next = { connectors: [...chosen], credential, sha256: await sha256(credential) }
    await callsOf<GateCalls>('gate')['rotate-connectors']({ connectors: next.connectors, sha256: next.sha256, overlapMs })
    setMade(next)
  }
  const toggle = (id: string): void => choose(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id])
  if (made)
    return (
      <Dialog title="The new credential" close={close} isWide>
        <Handed {...made} />
      </Dialog>
    )
  return (
    <Dialog title={isFirst(connector) ? 'Make a first credential' : 'Rotate now'} close={close}>
      <p>
        Old and new hold side by side until every connector has shown the new one; without that the new one is taken back, and the old one
        goes on.
      </p>
      <fieldset>
        <legend>Which connectors share it</legend>
        {all.map((id) => (
          <label key={id} class="check">
            <input type="checkbox" checked={chosen.includes(id)} onChange={() => toggle(id)} /> {id}
          </label>
        ))}
      </fieldset>
      <label>
        Both hold for at most
        <select value={overlapMs} onChange={(event) => setOverlap(Number(event.currentTarget.value))}>
          {overlaps.map(([ms, text]) => (
            <option key={ms} value={ms}>
              {text}
            </option>
          ))}
        </select>
      </label>
      {canMakeSecrets ? (
        <p class="row">
          {chosen.length > 0 ? (
            <Act kind="main" act={rotate}>
              Make and offer it
            </Act>
          ) : (
            <span class="hint">Choose one.</span>
          )}
        </p>
      ) : (
        <p class="problem">
          This page came over http from another machine, where a browser makes no secrets. On the machine: <code>fairlead gate rotate</code>
        </p>
      )}
    </Dialog>
  )
}

const stages = {
  offered: { standing: 'unknown', word: 'offered: waits for a handshake with it' },
  proved: { standing: 'good', word: 'proved: the old one is ending' },
  done: { standing: 'good', word: 'done: it is the one that holds' },
  undone: { standing: 'bad', word: 'taken back: nobody showed it in time' },
  unknown: { standing: 'unknown', word: 'the gate knows nothing of it' },
} as const

function Handed({ connectors, credential, sha256: hash }: Made) {
  const [isCopied, setCopied] = useState(false)
  const { value } = useLive<GateCalls, 'show-rotation'>('gate', 'show-rotation', { connectors, sha256: hash }, 1_000)
  const copy = (): void => void navigator.clipboard.writeText(credential).then(() => setCopied(true))
  return (
    <>
      <p>
        For {connectors.join(', ')}. It is shown this once, and the gate knows its hash only. Put it where its holder finds it:{' '}
        <code>MCP_CONNECTOR_TOKEN</code>.
      </p>
      <p class="secret">
        <code>{credential}</code>
        <button type="button" onClick={copy}>
          {isCopied ? 'Copied' : 'Copy'}
        </button>
      </p>
      <p role="status">{value && <StandingTag {...stages[value.state]} />}</p>
    </>
  )
}
