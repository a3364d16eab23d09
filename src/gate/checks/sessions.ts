// Has every connector a session that is alive, in the stage's context?
import { bad, good } from '../../base/checks/check.ts'
import { stageContext } from '../connector/api.ts'
import { type GateCheck, ofEachConnector } from '../examination.ts'

const sessions: GateCheck = {
  title: 'looking for the sessions',
  needs: ['gateway'],
  run: (examination) =>
    ofEachConnector(examination, ({ connector_id: id, status, frozen, sessions: own }) => {
      if (frozen) return bad(`frozen since ${frozen.since}: ${frozen.why}`, 'fairlead gate restore', id)
      if (own.length === 0) return bad(`there is none (${status})`, 'start its service, or run: fairlead gate smoke', id)
      const alive = own.filter(({ late_since: late }) => late === null)
      const staged = alive.filter(({ accepted_contexts: contexts }) => contexts.includes(stageContext))
      if (alive.length > 0 && staged.length === 0) return bad(`${stageContext} is accepted in none of its sessions`, 'hand-shake again', id)
      if (staged.length === 0) return bad(`${own.length} that are late, none alive`, 'see whether its service runs', id)
      return good(`${staged.map((one) => one.id).join(', ')} alive`, id)
    }),
}

export default sessions
