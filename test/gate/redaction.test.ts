// Secrets that a server is given, and what clients send, are in no log and no record, whatever a server prints and however much the gate is told to log.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type RunningGate, call, eras, gateFor, initializeParams, modern, openSession, post, until } from './bed.ts'

const secret = 'MARK-child-secret'
/** A server that tells its secret wherever it can: on stderr, among its messages, and in what it answers. */
const talker = (end: string): readonly string[] => [
  '/bin/sh',
  '-c',
  `echo "starting with $API_KEY" >&2; echo "no message: $API_KEY"; printf '%02100d%s\\n' 0 "$API_KEY" >&2; printf '%02040d%s\\n' 0 "$API_KEY" >&2
   while read -r line; do
     id=\${line#*'"id":'}; id=\${id%%[,\\}]*}
     case $line in *'"notifications/'*) continue;; esac
     ${end}
   done`,
]
const talkers = {
  dying: talker('echo "bye $API_KEY" >&2; exit 3'),
  refusing: talker(`echo '{"jsonrpc":"2.0","id":'"$id"',"error":{"code":-32603,"message":"bad key '"$API_KEY"'"}}'`),
  wrong: talker(`echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"serverInfo":"'"$API_KEY"'"}}'`),
}

test.each(eras)('attack 27: with everything logged, %s client', async (era) => {
  Object.assign(process.env, { MARK_CHILD: secret })
  const more = 'secrets = { API_KEY = { env = "MARK_CHILD" } }\nrequest_timeout = "3s"'
  const upstreams = Object.fromEntries(Object.entries(talkers).map(([name, command]) => [name, { command, more }]))
  const gate: RunningGate = await gateFor({ upstreams, log: 'debug' })
  const headers = { 'x-api-key': 'MARK-header', cookie: 'MARK-cookie', baggage: 'key=MARK-baggage', traceparent: 'MARK-trace' }
  for (const name of Object.keys(talkers)) {
    if (era === 'modern') {
      await modern(gate.url(name), 'tools/call', { name: 'x', arguments: { key: 'MARK-argument' } }, { headers })
      continue
    }
    await post(gate.url(name), 'initialize', { ...initializeParams, more: 'MARK-argument' }, { headers })
    const session = await openSession(gate.url(name), { headers }).catch(() => undefined)
    if (session !== undefined) await call(gate.url(name), 'x', { key: 'MARK-argument' }, { session, headers })
  }
  await until('what the servers printed is in the log', () => gate.stderr.join('\n').includes('starting with [redacted]'))
  await gate.stop('SIGKILL')
  const folder = join(gate.folder, 'state', 'ledger')
  const kept = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
  const leaks = [...gate.stderr, ...kept].filter((text) => text.includes('MARK-'))
  expect(leaks).toEqual([])
})
