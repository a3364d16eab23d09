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
  other_name: (d: { file: string; name: string; expected: string }) => ({
    kind: 'config',
    message: `${d.file} defines the service ${d.name}, not ${d.expected}`,
    hint: 'the file is called after the service: name.toml',
  }),
  no_service: (d: { service: string; node: string }) => ({
    kind: 'missing',
    message: `the node ${d.node} knows no service ${d.service}`,
    hint: 'mcp list shows those it knows; mcp deploy or mcp sync makes one known',
  }),
  no_component: (d: { service: string; component: string; known: readonly string[] }) => ({
    kind: 'missing',
    message: `the service ${d.service} has no component ${d.component}`,
    hint: `it has: ${d.known.join(', ')}`,
  }),
  other_node: (d: { service: string; named: string; node: string }) => ({
    kind: 'config',
    message: `the definition of ${d.service} is for the node ${d.named}, and this is ${d.node}`,
    hint: 'mend `node` in the definition, or the name of the node in its configuration',
  }),
  unhealthy: (d: { place: string; reason: string; withinMs: number; lastLines: readonly string[] }) => ({
    kind: 'unavailable',
    message: `${d.place} was not well within ${d.withinMs / 1_000} s: ${d.reason}${d.lastLines.map((line) => `\n  | ${line}`).join('')}`,
    hint: `mcp logs ${d.place}`,
  }),
  not_made: (d: { place: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.place} was made, and taken away again: ${d.reason}`,
    hint: `mcp history ${d.place.split('/')[0]} shows what it printed`,
  }),
  inactive: (d: { service: string }) => ({
    kind: 'conflict',
    message: `${d.service} is stopped (active = false), and a stopped service stays stopped`,
    hint: `mcp start ${d.service}, then deploy`,
  }),
  no_way_back: (d: { place: string }) => ({
    kind: 'missing',
    message: `there is no earlier image of ${d.place} that ran well`,
    hint: `mcp history ${d.place.split('/')[0]}`,
  }),
  busy: (d: { place: string; doing: string }) => ({
    kind: 'conflict',
    message: `${d.place} is being worked on: ${d.doing}`,
    hint: 'wait for it to end, then try again',
  }),
  unknown_action: (d: { action: string; known: readonly string[] }) => ({
    kind: 'usage',
    message: `there is no action ${d.action}`,
    hint: `it is one of: ${d.known.join(', ')}`,
  }),
  no_runtime: (d: { name: string; known: readonly string[] }) => ({
    kind: 'config',
    message: `there is no runtime ${d.name}`,
    hint: `container_runtime is one of: ${d.known.join(', ')}`,
  }),
  no_database: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is no database ${d.path}`,
    hint: 'was the agent ever started?',
  }),
  no_snapshot: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is no snapshot ${d.path}`,
    hint: 'mcp-agent snapshot makes one',
  }),
  own_folder: (d: { path: string }) => ({
    kind: 'denied',
    message: `${d.path} is the agent's own folder, and the data of no service`,
    hint: 'call the service otherwise',
  }),
  not_let_in: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `files of users inside containers cannot be reached: ${d.reason}`,
    hint: 'as the user of the agent: podman unshare true',
  }),
  own_volume: (d: { place: string; source: string; path: string }) => ({
    kind: 'denied',
    message: `${d.place} wants the volume ${d.source}, and ${d.path} is the agent's own: whoever has it may do all that the agent may`,
    hint: 'name a folder of the service, such as /srv/<service>',
  }),
  low_port: (d: { place: string; port: number; least: number }) => ({
    kind: 'conflict',
    message: `${d.place} publishes the port ${d.port}, and the agent's user may take those from ${d.least} on`,
    hint: `publish another one (a route takes 443 and leads names to it), or on the node, as root: sysctl net.ipv4.ip_unprivileged_port_start=${d.port}`,
  }),
  hidden_path: (d: { of: string; path: string }) => ({
    kind: 'denied',
    message: `${d.of} names ${d.path}, and the agent may not look where that leads`,
    hint: 'a link in a circle, or a folder that another user keeps to itself: name one that the agent may read',
  }),
  own_port: (d: { place: string; port: number }) => ({
    kind: 'conflict',
    message: `${d.place} wants the port ${d.port}, which is the agent's own`,
    hint: 'name another port of the machine',
  }),
  too_long: (d: { file: string; most: number }) => ({
    kind: 'config',
    message: `${d.file} is longer than ${d.most} characters, which no definition needs`,
    hint: 'is it the right file?',
  }),
  no_data: (d: { service: string; path: string }) => ({
    kind: 'missing',
    message: `${d.service} has no data folder: there is no ${d.path}`,
    hint: 'what a service keeps elsewhere (a volume with a name) is not backed up here',
  }),
  no_backup: (d: { service: string; folder: string; name: string | undefined }) => ({
    kind: 'missing',
    message: `there is no backup ${d.name === undefined ? '' : `${d.name} `}of ${d.service} in ${d.folder}`,
    hint: `mcp backup ${d.service} --list shows those that there are; mcp backup ${d.service} makes one`,
  }),
  backup_damaged: (d: { path: string; problem: string }) => ({
    kind: 'conflict',
    message: `the backup ${d.path} is not whole: ${d.problem}`,
    hint: 'nothing was changed; use another one: mcp backup SERVICE --list',
  }),
  still_runs: (d: { service: string; containers: readonly string[] }) => ({
    kind: 'conflict',
    message: `${d.service} runs (${d.containers.join(', ')}), and what it has open cannot be replaced`,
    hint: `mcp restore ${d.service} --stop stops it, and starts it again; nothing was changed`,
  }),
  certificate_failed: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `there is no new certificate: ${d.reason}`,
    hint: 'the one before stays in use; is openssl installed, or the PKI reachable? mcp cert status tells how long it lasts',
  }),
  challenge_failed: (d: { name: string; directory: string; listen: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.directory} gives no certificate for ${d.name}: ${d.reason}`,
    hint: `the name must lead to this machine, and its port 80 to ${d.listen}, where the agent answers while the authority looks; one that is there stays in use`,
  }),
  no_route_certificate: (d: { name: string; known: readonly string[] }) => ({
    kind: 'missing',
    message: `there is no route with mode = "l7" called ${d.name}`,
    hint: d.known.length === 0 ? 'routes are served where [routes] is configured' : `there are: ${d.known.join(', ')}`,
  }),
  no_certificate: () => ({
    kind: 'missing',
    message: 'this agent has no certificate: it answers on its sockets alone',
    hint: 'set server.listen in mcp-agent.toml',
  }),
  bad_listen: (d: { listen: string }) => ({
    kind: 'config',
    message: `${d.listen} is no address with a port`,
    hint: 'server.listen and routes.listen are such as 100.64.0.7:9444',
  }),
  not_unsealed: (d: { place: string; reason: string }) => ({
    kind: 'denied',
    message: `${d.place} is not unsealed: ${d.reason}`,
    hint: 'is the password right, and does it run? mcp status',
  }),
  no_seal: (d: { place: string }) => ({
    kind: 'missing',
    message: `nothing of ${d.place} has a seal`,
    hint: 'see [components.seal] in its definition',
  }),
})
