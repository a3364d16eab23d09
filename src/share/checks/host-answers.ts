// Is it the host that answers there: does it prove the peer id in the address?
import { good } from '../../base/checks/check.ts'
import { type ShareCheck, ofEachHost } from '../examination.ts'

const hostAnswers: ShareCheck = {
  title: 'asking the host who it is',
  needs: ['bootstrap-peers'],
  after: ['port-open'],
  timeoutMs: 15_000,
  run: (examination) =>
    ofEachHost(
      examination,
      async (way) => {
        await examination.dial(way)
        return good('it proves the peer id in its address')
      },
      'on the host: fairlead share address (has it another peer id, or another program that port?)',
    ),
}

export default hostAnswers
