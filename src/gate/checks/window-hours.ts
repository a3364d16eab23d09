// Is the rotation window 48 hours, at the gate and in the rotation ledger?
import { bad, good } from '../../base/checks/check.ts'
import { type GateCheck, newestDrill, rotationWindowHours } from '../examination.ts'

const windowHours: GateCheck = {
  title: 'comparing the rotation windows',
  needs: ['gateway'],
  async run(examination) {
    const { connectors } = await examination.live()
    return Promise.all(
      examination.connectors.map(async (id) => {
        const atGate = connectors.get(id)?.window_hours
        const inLedger = (await newestDrill(examination, id))?.window_hours
        const evidence = `${hoursText(atGate)} at the gate, ${hoursText(inLedger)} in the rotation ledger`
        return atGate === rotationWindowHours && inLedger === rotationWindowHours
          ? good(evidence, id)
          : bad(evidence, `set gate.connectors.${id}.rotation_window = "${rotationWindowHours}h", then: fairlead gate smoke`, id)
      }),
    )
  },
}

function hoursText(hours: number | undefined): string {
  return hours === undefined ? 'none' : String(Math.round(hours * 1_000) / 1_000)
}

export default windowHours
