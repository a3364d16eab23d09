// The first page: is everything well, what needs a person, and what happened last.
import { useState } from 'preact/hooks'
import type { GateCalls } from '../../gate/client.ts'
import { callsOf } from '../calls.ts'
import { useLive } from '../live.ts'
import { type PageNeeds, page } from '../page.ts'
import { Act } from '../shown/act.tsx'
import { durationText } from '../shown/amount.ts'
import { Loaded, None } from '../shown/empty.tsx'
import { Sign, StandingTag } from '../shown/standing.tsx'
import { Ago } from '../shown/time.tsx'

type Status = Awaited<ReturnType<GateCalls['status']>>
type Section = Status['sections'][number]

export default page({
  title: 'Overview',
  order: 1,
  icon: 'M3 11 12 4l9 7v9h-6v-6H9v6H3z',
  View(needs) {
    const status = useLive<GateCalls, 'status'>('gate', 'status', {}, 3_000)
    return <Loaded of={status}>{(value) => <Known status={value} {...needs} />}</Loaded>
  },
})

function Known({ status, signed }: PageNeeds & { readonly status: Status }) {
  const troubles = status.sections.flatMap(({ title, name, lines }) =>
    lines.filter(({ standing }) => standing === 'bad' || standing === 'unknown').map((line) => ({ ...line, title, section: name })),
  )
  return (
    <>
      <section class={`headline ${status.standing}`} aria-label="Health">
        <p class="large">
          <Sign standing={status.standing} /> {troubles.length === 0 ? 'All is well' : thingsText(troubles.length)}
        </p>
        <p>
          {status.machine}, <Ago at={status.at} />
        </p>
      </section>
      {signed.level === 'change' && <Waiting />}
      {troubles.length > 0 && (
        <section aria-labelledby="troubles">
          <h2 id="troubles">Needs you</h2>
          <ul class="list">
            {troubles.map(({ section, title, name, text, remedy, standing }) => (
              <li key={`${section} ${name}`}>
                <Sign standing={standing} />
                <div>
                  <p>
                    <strong>{name}</strong> <span class="tag">{title}</span>
                  </p>
                  <p>{text}</p>
                  {remedy !== undefined && <Remedy text={remedy} />}
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section aria-labelledby="parts">
        <h2 id="parts">Parts</h2>
        <div class="cards">
          {status.sections.map((section) => (
            <Part key={section.name} {...section} />
          ))}
        </div>
      </section>
      <section aria-labelledby="changes">
        <h2 id="changes">What happened</h2>
        {status.events.length === 0 && <None>Nothing went wrong lately.</None>}
        <ul class="events">
          {gathered(status.events).map(([key, { at, about, text, capability }, times]) => (
            <li key={key}>
              <Ago at={at} />
              <p>
                <strong>{about}</strong> <span class="tag">{capability}</span> {text} {times > 1 && <small>{times} times</small>}
              </p>
            </li>
          ))}
        </ul>
      </section>
    </>
  )
}

type Happened = Status['events'][number]

/** What happened again and again is told once, with the last time. */
function gathered(events: readonly Happened[]): readonly (readonly [key: string, last: Happened, times: number])[] {
  const byText = Map.groupBy(events, ({ capability, about, text }) => JSON.stringify([capability, about, text]))
  return [...byText].map(([key, same]) => [key, same[0]!, same.length])
}

function thingsText(count: number): string {
  return count === 1 ? 'One thing needs you' : `${count} things need you`
}

function Remedy({ text }: { readonly text: string }) {
  const [isCopied, setCopied] = useState(false)
  const copy = (): void => void navigator.clipboard.writeText(text).then(() => setCopied(true))
  return (
    <p class="remedy">
      <code>{text}</code>
      <button type="button" class="plain" onClick={copy}>
        {isCopied ? 'Copied' : 'Copy'}
      </button>
    </p>
  )
}

function Part({ title, standing, lines }: Section) {
  return (
    <article class="card">
      <header>
        <h3>{title}</h3>
        <StandingTag standing={standing} />
      </header>
      {lines.length === 0 && <None>Nothing to tell.</None>}
      <dl>
        {lines.map(({ name, text, standing: own }) => (
          <div key={name}>
            <dt>
              <Sign standing={own} /> {name}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </article>
  )
}

/** Calls that wait for a yes: whoever may only look is not told of them. */
function Waiting() {
  const gate = callsOf<GateCalls>('gate')
  const { value: waiting = [] } = useLive<GateCalls, 'list-calls'>('gate', 'list-calls', {}, 1_000)
  if (waiting.length === 0) return null
  const decide = (id: string, decision: 'once' | 'deny') => () => gate['decide-call']({ id, decision })
  return (
    <section aria-labelledby="waiting">
      <h2 id="waiting">Waits for your yes</h2>
      <ul class="list">
        {waiting.map(({ id, principal, upstream, tool, arguments: given, expiresInMs }) => (
          <li key={id}>
            <Sign standing="unknown" word="waits" />
            <div>
              <p>
                <strong>{principal}</strong> calls <strong>{tool}</strong> of {upstream}
              </p>
              {given !== '' && (
                <pre>
                  <code>{given}</code>
                </pre>
              )}
              <p class="hint">refused by itself in {durationText(expiresInMs / 1_000)}</p>
              <p class="row">
                <Act kind="main" act={decide(id, 'once')}>
                  Allow once
                </Act>
                <Act act={decide(id, 'deny')}>Deny</Act>
              </p>
            </div>
          </li>
        ))}
      </ul>
    </section>
  )
}
