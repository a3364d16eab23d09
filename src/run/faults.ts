// Every way in which run can fail, each with what to do next.
import { faults } from '../kernel/fault.ts'

export const fault = faults('run', {
  runtime_unavailable: (d: { runtime: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the runtime ${d.runtime} does not answer: ${d.reason}`,
    hint:
      d.runtime === 'podman'
        ? 'systemctl --user status podman.socket; systemctl --user enable --now podman.socket'
        : 'see the log of the agent',
  }),
  runtime_refused: (d: { runtime: string; doing: string; reason: string }) => ({
    kind: 'conflict',
    message: `${d.runtime} could not ${d.doing}: ${d.reason}`,
    hint: 'mend what it names, then do it again: nothing else was changed',
  }),
  no_image: (d: { reference: string; where: string }) => ({
    kind: 'missing',
    message: `there is no image ${d.reference} ${d.where}`,
    hint: 'check name and tag, and that it was pushed',
  }),
  pull_failed: (d: { reference: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.reference} could not be fetched: ${d.reason}`,
    hint: 'is the registry running, and reachable from the node?',
  }),
  no_container: (d: { id: string }) => ({ kind: 'missing', message: `there is no container ${d.id}`, hint: 'see: mcp ps' }),
  name_taken: (d: { name: string }) => ({
    kind: 'conflict',
    message: `another container is called ${d.name}, and it is not ours`,
    hint: 'take it over (mcp adopt) or rename it',
  }),
  cannot: (d: { runtime: string; place: string; abilities: readonly string[] }) => ({
    kind: 'config',
    message: `${d.place} asks for ${d.abilities.join(', ')}, which the runtime ${d.runtime} cannot give`,
    hint: 'take it out of the definition, or use a node with podman',
  }),
})
