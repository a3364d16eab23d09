// Every way in which a command of `mcp` can fail before a node is asked.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('mcp', {
  no_nodes: (d: { file: string }) => ({
    kind: 'config',
    message: `no node is known: ${d.file} names none`,
    hint: 'mcp node add NAME ADDRESS; on a node itself: mcp node add NAME unix:/srv/mcp/run',
  }),
  no_node: (d: { name: string; known: readonly string[] }) => ({
    kind: 'missing',
    message: `there is no node ${d.name}`,
    hint:
      d.known.length === 0
        ? 'mcp node add NAME ADDRESS'
        : `those that there are: ${d.known.join(', ')}; another: mcp node add NAME ADDRESS`,
  }),
  node_taken: (d: { name: string; address: string }) => ({
    kind: 'conflict',
    message: `there is a node ${d.name} already, at ${d.address}`,
    hint: `choose another name, or first: mcp node remove ${d.name}`,
  }),
  which_node: (d: { known: readonly string[] }) => ({
    kind: 'usage',
    message: 'there are several nodes: one must be named',
    hint: `--node NAME, one of: ${d.known.join(', ')}`,
  }),
  late: (d: { node: string; patienceMs: number }) => ({
    kind: 'unavailable',
    message: `the node ${d.node} did not answer within ${d.patienceMs / 1_000} s`,
    hint: 'is the machine up and its agent running? systemctl status mcp-agent',
  }),
  bad_address: (d: { address: string }) => ({
    kind: 'config',
    message: `${d.address} is no address of a node`,
    hint: 'HOST, HOST:PORT, [IPV6]:PORT, unix:PATH with an absolute path, or peer:ID with a whole peer id',
  }),
  bad_name: (d: { name: string }) => ({
    kind: 'usage',
    message: `${d.name} is no name for a node`,
    hint: 'of a-z, 0-9 and -, at most 63, beginning and ending with one of a-z and 0-9',
  }),
  bad_authority: (d: { file: string; reason: string }) => ({
    kind: 'config',
    message: `${d.file} cannot be pinned: ${d.reason}`,
    hint: 'it is a certificate in PEM: -----BEGIN CERTIFICATE-----',
  }),
  unreachable: (d: { address: string; reason: string }) => ({
    kind: 'unavailable',
    message: `no certificate was shown at ${d.address}: ${d.reason}`,
    hint: 'is the agent running there, and does it listen at that address (server.listen)?',
  }),
  no_role: (d: { role: string; known: readonly string[] }) => ({
    kind: 'usage',
    message: `there is no role ${d.role}`,
    hint: `it is one of: ${d.known.join(', ')}`,
  }),
  no_need: (d: { nodes: readonly string[] }) => ({
    kind: 'usage',
    message: `no token is needed for ${d.nodes.join(', ')}: the socket is for whoever may open it`,
    hint: 'nodes that are reached over HTTPS need one: mcp node add NAME HOST',
  }),
  no_authority: (d: { node: string; file: string }) => ({
    kind: 'config',
    message: `nothing is pinned for the node ${d.node}${d.file === '' ? ': it has no `ca`' : `: ${d.file} is not there`}`,
    hint: `pin it: mcp node remove ${d.node}, then mcp node add ${d.node} ADDRESS`,
  }),
  bad_place: (d: { text: string }) => ({
    kind: 'usage',
    message: `${d.text} is neither a service nor service/component`,
    hint: 'such as: metacrypt, metacrypt/web',
  }),
  whole_service: (d: { service: string; component: string }) => ({
    kind: 'usage',
    message: `only a whole service is stopped or started, not ${d.service}/${d.component}`,
    hint: `mcp restart ${d.service}/${d.component} restarts one component`,
  }),
  unknown_service: (d: { service: string; unheard: readonly string[] }) => ({
    kind: 'missing',
    message: `there is no definition of ${d.service}, and no node that knows it${d.unheard.length === 0 ? '' : ` (not heard: ${d.unheard.join(', ')})`}`,
    hint: `mcp service edit ${d.service} makes one; mcp list shows what there is`,
  }),
  several_nodes: (d: { service: string; nodes: readonly string[] }) => ({
    kind: 'conflict',
    message: `${d.service} is on several nodes: ${d.nodes.join(', ')}`,
    hint: `write a definition that says which: mcp service export ${d.service} --node NAME`,
  }),
  no_definition: (d: { file: string }) => ({
    kind: 'missing',
    message: `there is no definition ${d.file}`,
    hint: 'mcp service edit SERVICE makes one',
  }),
  bad_definitions: (d: { problems: readonly string[] }) => ({
    kind: 'config',
    message: d.problems.join('\n'),
    hint: 'nothing was changed: mend them, then mcp service check',
  }),
  no_checkout: (d: { folder: string; reason: string }) => ({
    kind: 'missing',
    message: `${d.folder} is no git checkout: ${d.reason}`,
    hint: 'name the folder of a checkout with your definitions, or one in it',
  }),
  no_commit: (d: { folder: string; ref: string }) => ({
    kind: 'missing',
    message: `there is no commit ${d.ref} in ${d.folder}`,
    hint: 'git log --oneline shows what there is',
  }),
  not_committed: (d: { folder: string; files: readonly string[]; count: number }) => ({
    kind: 'conflict',
    message: `not everything in ${d.folder} is committed: ${d.files.join(', ')}${d.count > d.files.length ? ` and ${d.count - d.files.length} more` : ''}`,
    hint: 'commit it; or --force syncs what is committed, without it',
  }),
  not_agreed: (d: { commit: string }) => ({
    kind: 'denied',
    message: `nobody said yes to ${d.commit}; nothing was changed`,
    hint: 'at a terminal you are asked; in a script: --yes',
  }),
  only_with: (d: { flag: string; other: string }) => ({
    kind: 'usage',
    message: `--${d.flag} means nothing without --${d.other}`,
    hint: 'mcp sync --help',
  }),
  not_saved: (d: { file: string; kept: string; problem: string }) => ({
    kind: 'config',
    message: `${d.file} was not changed: ${d.problem}`,
    hint: `what you wrote is kept: ${d.kept}`,
  }),
  no_editor: (d: { argv: string; exitCode: number | null }) => ({
    kind: 'unavailable',
    message: `the editor ${d.argv} ended with ${d.exitCode ?? 'a signal'}; nothing was changed`,
    hint: 'set EDITOR to the one you use',
  }),
  no_duration: (d: { text: string }) => ({ kind: 'usage', message: `${d.text} is no span of time`, hint: 'such as: 90s, 10m, 2h, 1d' }),
  not_pinned: (d: { name: string; address: string; fingerprint: string }) => ({
    kind: 'denied',
    message: `nobody said that the authority ${d.fingerprint} is the one of ${d.name} at ${d.address}; nothing was changed`,
    hint: `compare it with what the node says itself, then: mcp node add ${d.name} ${d.address} --fingerprint ${d.fingerprint}`,
  }),
  other_fingerprint: (d: { address: string; shown: string; wanted: string }) => ({
    kind: 'denied',
    message: `${d.address} shows the authority ${d.shown}, not ${d.wanted}`,
    hint: 'is it the right machine, and is nobody in between? nothing was changed',
  }),
  missing_word: (d: { command: string; word: string }) => ({
    kind: 'usage',
    message: `${d.command} needs ${d.word}`,
    hint: `mcp ${d.command.split(' ')[0]!} --help`,
  }),
  no_login: (d: { file: string }) => ({
    kind: 'config',
    message: `${d.file} names no identity service`,
    hint: 'add [login] with url = "https://…", its token endpoint; or use a token of a node: mcp login without --user',
  }),
  login_refused: (d: { url: string; reason: string }) => ({
    kind: 'unauthenticated',
    message: `${d.url} gives no token: ${d.reason}`,
    hint: 'check name and password; unauthorized_client, unsupported_grant_type: the service does not give tokens for passwords to this client',
  }),
  no_identity_service: (d: { url: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the identity service ${d.url} does not answer as it should: ${d.reason}`,
    hint: 'is it reachable from here, and `login.ca` right? the token that is kept was not changed',
  }),
  no_token_given: () => ({
    kind: 'usage',
    message: 'no token was given',
    hint: 'a token is one line: mcp token new NAME, on the node, prints one',
  }),
  file_exists: (d: { path: string }) => ({
    kind: 'conflict',
    message: `there is a file ${d.path} already`,
    hint: 'name another one, or use --force',
  }),
})
