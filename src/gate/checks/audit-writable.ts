// Can the gate write its record of calls, and we the rotation ledger?
import { constants, accessSync } from 'node:fs'
import { bad, good } from '../../base/checks/check.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { makeFolder } from '../../kernel/file.ts'
import type { GateCheck } from '../examination.ts'

const auditWritable: GateCheck = {
  title: 'asking whether records can be written',
  needs: ['gateway'],
  async run({ live, logs }) {
    const { ledger } = (await live()).health
    const atGate = ledger?.ok
      ? good(ledger.reason, 'the record of calls')
      : bad(ledger?.reason ?? 'the gate does not tell', "look at the ledger's folder: is the disk full?", 'the record of calls')
    return [atGate, ours(logs)]
  },
}

function ours(logs: string): ReturnType<typeof good> {
  try {
    makeFolder(logs)
    accessSync(logs, constants.W_OK)
    return good(`${logs} can be written`, 'the rotation ledger')
  } catch (error) {
    return bad(`${logs} cannot be written: ${reasonOf(error)}`, 'check that this user may write it', 'the rotation ledger')
  }
}

export default auditWritable
