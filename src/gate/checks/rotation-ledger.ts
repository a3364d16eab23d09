// Does the rotation ledger say of every connector what the gate's own record says? A line that nobody rotated for does not.
import { bad, good } from '../../base/checks/check.ts'
import { drillsFile } from '../connector/drills.ts'
import { type GateCheck, newestDrill } from '../examination.ts'

const rotationLedger: GateCheck = {
  title: 'reading the rotation ledger',
  needs: ['gateway'],
  async run(examination) {
    const { connectors } = await examination.live()
    return Promise.all(
      examination.connectors.map(async (id) => {
        const rotatedAt = connectors.get(id)?.rotated_at
        const drill = await newestDrill(examination, id)
        if (!drill) return bad(`${drillsFile} has no line for it`, 'fairlead gate smoke', id)
        const said = `its newest line (${drill.seq as number}) says ${drill.rotated_at}`
        if (drill.rotated_at === rotatedAt) return good(`${said}, as the gate does`, id)
        const found = rotatedAt === undefined || rotatedAt === null ? 'nothing' : rotatedAt
        return bad(`${said}, and the gate ${found}`, 'find out who wrote it, then: fairlead gate smoke', id)
      }),
    )
  },
}

export default rotationLedger
