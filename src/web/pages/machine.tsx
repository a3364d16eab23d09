// The machine that the gate is on: how it is, what was measured, its units and its journal.
import { useState } from 'preact/hooks'
import { useLive } from '../live.ts'
import { MeasuredPlots } from '../machine/measured.tsx'
import { type Facts, type Journal, type MachineCalls, type Snapshot, type Units, isKnown, textOf } from '../machine/machine.ts'
import { page } from '../page.ts'
import { durationText, percentText, sizeText } from '../shown/amount.ts'
import { Loaded, None } from '../shown/empty.tsx'
import { Sign, type Standing } from '../shown/standing.tsx'
import { Ago } from '../shown/time.tsx'

export default page({
  title: 'Machine',
  order: 5,
  icon: 'M7 7h10v10H7zM10 3v4m4-4v4m-4 10v4m4-4v4M3 10h4m-4 4h4m10-4h4m-4 4h4',
  View({ daemons, signed }) {
    if (!daemons.some(({ kind }) => kind === 'machine'))
      return (
        <None>
          The machine tools do not run here: <code>fairlead operate server</code>, or all parts together: <code>fairlead up</code>.
        </None>
      )
    return (
      <>
        <About />
        <MeasuredPlots />
        <UnitRows />
        {signed.level === 'change' && <JournalRows />}
      </>
    )
  },
})

function About() {
  const facts = useLive<MachineCalls, 'look'>('machine', 'look', { tool: 'system_get_basic_info' }, 30_000)
  const snapshot = useLive<MachineCalls, 'look'>('machine', 'look', { tool: 'system_get_health_snapshot' }, 5_000)
  return (
    <section class="cards" aria-label="About">
      <article class="card">
        <h2>What it is</h2>
        <Loaded of={facts}>{(value) => <FactList facts={value as Facts} />}</Loaded>
      </article>
      <article class="card">
        <h2>How it is</h2>
        <Loaded of={snapshot}>{(value) => <SnapshotList snapshot={value as Snapshot} />}</Loaded>
      </article>
    </section>
  )
}

function FactList({ facts: { hostname, os, kernel, architecture, model, cpu, uptimeSeconds } }: { readonly facts: Facts }) {
  const rows: readonly (readonly [string, string])[] = [
    ['Name', textOf(hostname)],
    ['System', `${isKnown(os) ? (os.prettyName ?? os.name) : textOf(os)}, ${architecture}`],
    ['Kernel', textOf(kernel)],
    ['Model', textOf(model)],
    ['Processor', isKnown(cpu) ? `${cpu.count} × ${textOf(cpu.model)}` : textOf(cpu)],
    ['Up', isKnown(uptimeSeconds) ? durationText(uptimeSeconds) : textOf(uptimeSeconds)],
  ]
  return <Rows rows={rows} />
}

function SnapshotList({ snapshot: { load, memory, swap, disks, temperatures, warnings } }: { readonly snapshot: Snapshot }) {
  const use = (one: { usedBytes: number; totalBytes: number; usedPercent: number }): string =>
    `${sizeText(one.usedBytes)} of ${sizeText(one.totalBytes)} (${percentText(one.usedPercent)})`
  const rows: readonly (readonly [string, string])[] = [
    [
      'Load',
      isKnown(load) ? [load.oneMinute, load.fiveMinutes, load.fifteenMinutes].map((one) => one.toFixed(2)).join('  ') : textOf(load),
    ],
    ['Memory', isKnown(memory) ? use(memory) : textOf(memory)],
    ...(isKnown(swap) && swap.totalBytes > 0 ? [['Swap', use(swap)] as const] : []),
    ...(isKnown(disks) ? disks.flatMap((disk) => ('usedBytes' in disk ? [[disk.path, use(disk)] as const] : [])).slice(0, 6) : []),
    ...(isKnown(temperatures)
      ? temperatures
          .slice(0, 4)
          .map(({ name, celsius }) => [name, isKnown(celsius) ? `${celsius.toFixed(1)} °C` : textOf(celsius)] as const)
      : [['Temperature', textOf(temperatures)] as const]),
  ]
  return (
    <>
      {warnings.map(({ message }) => (
        <p key={message} class="warning">
          <Sign standing="bad" word="attention" /> {message}
        </p>
      ))}
      <Rows rows={rows} />
    </>
  )
}

function Rows({ rows }: { readonly rows: readonly (readonly [string, string])[] }) {
  return (
    <dl>
      {rows.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  )
}

const unitStandings: Readonly<Record<string, Standing>> = { active: 'good', failed: 'bad', activating: 'unknown', deactivating: 'unknown' }

function UnitRows() {
  const listed = useLive<MachineCalls, 'look'>('machine', 'look', { tool: 'service_list', arguments: { limit: 500 } }, 10_000)
  return (
    <section class="card" aria-labelledby="units">
      <h2 id="units">Services of the system</h2>
      <Loaded of={listed}>
        {(value) => {
          const { units } = value as Units
          if (units.length === 0) return <None>Its configuration lets none be looked at: helper.allow.units.</None>
          return (
            <table class="services">
              <thead>
                <tr>
                  <th scope="col">Unit</th>
                  <th scope="col">State</th>
                  <th scope="col">At start</th>
                  <th scope="col">What it is</th>
                </tr>
              </thead>
              <tbody>
                {units.map(({ unit, activeState, subState, enabled, description }) => (
                  <tr key={unit}>
                    <th scope="row">
                      <Sign standing={unitStandings[activeState] ?? 'off'} word={activeState} /> {unit}
                    </th>
                    <td data-label="State">
                      {activeState} ({subState})
                    </td>
                    <td data-label="At start">{enabled}</td>
                    <td>{description}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }}
      </Loaded>
    </section>
  )
}

const priorities = ['debug', 'info', 'notice', 'warning', 'err', 'crit'] as const

function JournalRows() {
  const [priority, setPriority] = useState<(typeof priorities)[number]>('info')
  const [unit, setUnit] = useState('')
  const asked = { limit: 100, priority, ...(unit === '' ? {} : { unit }) }
  const journal = useLive<MachineCalls, 'inspect'>('machine', 'inspect', { tool: 'logs_query_journal', arguments: asked }, 5_000)
  return (
    <section class="card" aria-labelledby="journal">
      <h2 id="journal">Journal</h2>
      <form class="row" onSubmit={(event) => event.preventDefault()}>
        <label>
          This urgent or more{' '}
          <select value={priority} onChange={(event) => setPriority(priorities.find((one) => one === event.currentTarget.value) ?? 'info')}>
            {priorities.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          Unit <input type="search" value={unit} onChange={(event) => setUnit(event.currentTarget.value.trim())} />
        </label>
      </form>
      <Loaded of={journal}>
        {(value) =>
          (value as Journal).entries.length === 0 ? (
            <None>There is nothing of that.</None>
          ) : (
            <ul class="events">
              {(value as Journal).entries.toReversed().map(({ time, message, unit: from, identifier, priority: urgency }, at) => (
                <li key={`${time} ${at}`}>
                  <Ago at={Date.parse(time)} />
                  <p>
                    <span class="tag">{from ?? identifier ?? urgency}</span> {message}
                  </p>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  )
}
