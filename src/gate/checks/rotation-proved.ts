// Was every credential rotated within the last 48 hours, as the gate itself saw it?
import { bad, good } from '../../base/checks/check.ts'
import { parseInstant } from '../connector/instant.ts'
import { type GateCheck, ofEachConnector, rotationWindowHours } from '../examination.ts'

const rotationProved: GateCheck = {
  title: 'asking when credentials were rotated',
  needs: ['gateway'],
  run: (examination) =>
    ofEachConnector(examination, ({ connector_id: id, rotated_at: rotatedAt }) => {
      const remedy = `fairlead gate rotate ${id} --out FILE`
      const rotatedMs = rotatedAt === null ? undefined : parseInstant(rotatedAt)
      if (rotatedMs === undefined) return bad('no credential was made yet', remedy, id)
      const hours = (examination.clock.now() - rotatedMs) / 3_600_000
      const evidence = `the last one with proof was at ${rotatedAt!}, ${hours.toFixed(1)} h ago`
      return hours <= rotationWindowHours
        ? good(evidence, id)
        : bad(`${evidence}; at most ${rotationWindowHours} h are allowed`, remedy, id)
    }),
}

export default rotationProved
