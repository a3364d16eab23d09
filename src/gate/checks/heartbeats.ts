// Do the heartbeats of every session come on time?
import { type Answer, bad, good } from '../../base/checks/check.ts'
import { parseInstant } from '../connector/instant.ts'
import { beatEveryMs, lateAfterMs } from '../connector/session.ts'
import type { ConnectorState } from '../api.ts'
import { type Examination, type GateCheck, ofEachConnector } from '../examination.ts'

const heartbeats: GateCheck = {
  title: 'listening for heartbeats',
  needs: ['gateway'],
  run: (examination) =>
    ofEachConnector(examination, ({ connector_id: id, sessions }) => {
      if (sessions.length === 0) return bad('no session, so no heartbeat', 'start its service, or run: fairlead gate smoke', id)
      return sessions.map((session) => onTime(examination, id, session))
    }),
}

const remedy = 'see whether its service runs, and whether it reaches the gate'

function onTime({ clock, beating }: Examination, id: string, session: ConnectorState['sessions'][number]): Answer {
  const { id: name, late_since: late, heartbeat, issued_at: issued } = session
  if (late !== null) return bad(`${name} is late since ${late}`, remedy, id)
  const ageMs = (text: string): number => clock.now() - (parseInstant(text) ?? 0)
  if (!heartbeat) {
    const isDue = beating.has(name) || ageMs(issued) > beatEveryMs
    return isDue ? bad(`none has come from ${name}, opened ${issued}`, remedy, id) : good(`${name} is new: none is due yet`, id)
  }
  if (ageMs(heartbeat.received_at) > lateAfterMs) return bad(`${name}: the last one came at ${heartbeat.received_at}`, remedy, id)
  return good(`${name}: ${heartbeat.event} ${heartbeat.cycle_count} at ${heartbeat.received_at}`, id)
}

export default heartbeats
