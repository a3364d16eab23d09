// Agents of many nodes in one process, each on sockets of its own with the runtime in memory: `node many-nodes.ts FOLDER COUNT`; a line on stdout when all answer.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { agentFile } from '../../src/run/agent/config.ts'
import { agentFiles } from '../../src/run/agent/files.ts'
import { startAgent } from '../../src/run/agent/serve.ts'
import { runtimes } from '../../src/extensions.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'

const [folder, count] = [process.argv[2]!, Number(process.argv[3])]
/** Nobody reaches these as peers. */
const nobody = () => Promise.reject(new Error('there are no peers here'))
const peers = { dial: nobody, serve: nobody }
const config = agentFile.parse({ agent: { container_runtime: 'memory' }, monitor: { interval: '1m' } })
for (let n = 0; n < count; n++) {
  const own = join(folder, `n${n}`)
  mkdirSync(own, { recursive: true })
  const files = agentFiles({ config: own, state: own, runtime: own }, join(own, 'mcp-agent.toml'))
  const agent = await startAgent({ clock, log, env: {}, version: 'bench', runtimes, peers, fileWorker: ['false'] }, config, {
    ...files,
    name: `n${n}`,
  })
  agent.node.registry.setServices([
    { name: `s${n}`, text: `name = "s${n}"\nnode = "n${n}"\n[[components]]\nname = "s${n}"\nimage = "a/b:v1"\n` },
  ])
  agent.node.monitor.hint()
}
process.stdout.write('ready\n')
