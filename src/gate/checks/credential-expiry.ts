// Does every credential, and every session that it opened, end in the future?
import { type Answer, bad, good } from '../../base/checks/check.ts'
import { parseInstant } from '../connector/instant.ts'
import { type GateCheck, ofEachConnector } from '../examination.ts'

const credentialExpiry: GateCheck = {
  title: 'looking when credentials expire',
  needs: ['gateway'],
  run: (examination) =>
    ofEachConnector(examination, ({ connector_id: id, credential_expiry: expiry, sessions }): readonly Answer[] => {
      const nowMs = examination.clock.now()
      const ends = [{ what: 'its credential', at: expiry }, ...sessions.map((one) => ({ what: one.id, at: one.credential_expiry }))]
      const over = ends.filter(({ at }) => !((at === null ? undefined : parseInstant(at))! > nowMs))
      if (over.length === 0) return [good(ends.map(({ what, at }) => `${what} until ${at}`).join(', '), id)]
      return over.map(({ what, at }) => bad(`${what} is over (${at ?? 'there is none'})`, `fairlead gate rotate ${id} --out FILE`, id))
    }),
}

export default credentialExpiry
