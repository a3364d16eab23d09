// Every way in which the gate can fail, with the next thing to do.
import { faults } from '../kernel/fault.ts'

export const fault = faults('gate', {
  open_door: (d: { way: string }) => ({
    kind: 'config',
    message: `${d.way}, so that others can reach the gate, and gate.door lets everyone in without a credential`,
    hint: 'remove gate.door, or let only this machine reach the gate',
  }),
  no_public_url: (d: { listen: string }) => ({
    kind: 'config',
    message: `gate.listen is ${d.listen} and there are gate.issuers, but what clients call the gate is not said: tokens are for that address`,
    hint: 'add gate.public_url = "https://HOST"',
  }),
  same_issuer: (d: { first: string; second: string; issuer: string }) => ({
    kind: 'config',
    message: `gate.issuers.${d.first} and gate.issuers.${d.second} are both ${d.issuer}: a token could be of either`,
    hint: 'put their principals into one of them',
  }),
  bad_keys: (d: { place: string; reason: string }) => ({
    kind: 'config',
    message: `${d.place} is no file of keys: ${d.reason}`,
    hint: 'it must be a JSON Web Key Set: { "keys": [ … ] }',
  }),
  loose_socket: (d: { path: string; folder: string }) => ({
    kind: 'config',
    message: `anybody who may write ${d.folder} could put another socket in the place of ${d.path}`,
    hint: `chmod go-w ${d.folder}, or choose a folder of your own`,
  }),
  no_way_in: (d: { listen: string }) => ({
    kind: 'config',
    message: `gate.listen is ${d.listen}, which others can reach, and no principal has a credential`,
    hint: 'give a principal token_sha256 or peers, or add gate.issuers or gate.cloudflare_access',
  }),
  unknown_principal: (d: { name: string; place: string }) => ({
    kind: 'config',
    message: `${d.place} names the principal ${d.name}, which is not declared`,
    hint: `add [gate.principals.${d.name}]`,
  }),
  unknown_role: (d: { name: string; place: string }) => ({
    kind: 'config',
    message: `${d.place} names the role ${d.name}, which is not declared`,
    hint: `add [[gate.roles.${d.name}.rules]], or correct the name`,
  }),
  no_local: (d: { file: string }) => ({
    kind: 'config',
    message: `${d.file} does not say who a client of this machine is`,
    hint: 'name a principal: local = "NAME" in [gate], and declare [gate.principals.NAME] with rules for it',
  }),
  no_upstream: (d: { name: string; known: string }) => ({
    kind: 'usage',
    message: `there is no upstream ${d.name}`,
    hint: `choose one of: ${d.known}; or leave --upstream out, for all of them`,
  }),
  unknown_upstream: (d: { name: string; place: string }) => ({
    kind: 'config',
    message: `${d.place} names the upstream ${d.name}, which is not declared`,
    hint: `add [gate.upstreams.${d.name}], or correct the name`,
  }),
  same_credential: (d: { first: string; second: string }) => ({
    kind: 'config',
    message: `the principals ${d.first} and ${d.second} have the same credential: who proves it could be either`,
    hint: 'give each a token or peer id of its own',
  }),
  open_metrics: (d: { name: string }) => ({
    kind: 'config',
    message: `gate.principals.${d.name} may read the metrics, and gate.door makes everyone ${d.name} who shows no credential`,
    hint: 'set metrics = true for a principal with a token',
  }),
  no_ledger: (d: { folder: string }) => ({
    kind: 'missing',
    message: `there is no ledger in ${d.folder}`,
    hint: 'name the folder ledger/ in the state folder of the gate (gate.state in its configuration)',
  }),
  unknown_action: (d: { action: string }) => ({
    kind: 'usage',
    message: `the ledger cannot be told to ${JSON.stringify(d.action)}`,
    hint: 'use: fairlead gate ledger verify, fairlead gate ledger search, fairlead gate ledger witness --witness PEER, or: fairlead gate ledger drop --keep MIB',
  }),
  bad_time: (d: { flag: string; value: string }) => ({
    kind: 'usage',
    message: `--${d.flag} ${JSON.stringify(d.value)} is no time`,
    hint: 'write a time such as 2026-11-30T08:00:00Z, a day such as 2026-11-30 (its beginning, UTC), or how long ago: 90m, 2h, 7d',
  }),
  bad_limit: (d: { value: number; most: number }) => ({
    kind: 'usage',
    message: `--limit ${d.value} is out of range`,
    hint: `give a number from 1 to ${d.most}; --to goes further back`,
  }),
  no_status: () => ({
    kind: 'unavailable',
    message: 'this gate knows of itself alone, not of all that runs on this machine',
    hint: 'ask on the machine: fairlead status',
  }),
  only_for_search: (d: { flag: string }) => ({
    kind: 'usage',
    message: `--${d.flag} belongs to a search`,
    hint: 'use it with: fairlead gate ledger search',
  }),
  upstream_refused: (d: { upstream: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} cannot be used: ${d.reason}`,
    hint: "see the gate's log for what it printed",
  }),
  resting: (d: { upstream: string; reason: string; waitMs: number }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} failed to start (${d.reason}); the next try is in ${Math.ceil(d.waitMs / 100) / 10} s`,
    hint: "see the gate's log for what it printed",
  }),
  no_peers: (d: { upstream: string }) => ({
    kind: 'config',
    message: `the upstream ${d.upstream} is a peer's, and a gate by itself has no identity to reach peers with`,
    hint: 'use: fairlead up',
  }),
  not_pinned: (d: { upstream: string; file: string; pinned: string; found: string }) => ({
    kind: 'denied',
    message: `the server ${d.upstream} was not started: ${d.file} is ${d.found}, and ${d.pinned} is pinned`,
    hint: `if you changed that file yourself, correct integrity in [gate.upstreams.${d.upstream}]`,
  }),
  pinned_unreadable: (d: { upstream: string; file: string; reason: string }) => ({
    kind: 'denied',
    message: `the server ${d.upstream} was not started: its pinned file ${d.file} cannot be read: ${d.reason}`,
    hint: `correct integrity in [gate.upstreams.${d.upstream}]`,
  }),
  removed: (d: { upstream: string }) => ({
    kind: 'missing',
    message: `the server ${d.upstream} is not configured any more: the call was not made`,
    hint: 'see the tables [gate.upstreams] of the configuration',
  }),
  left_alone: (d: { upstream: string; silent: number; waitMs: number }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} let ${d.silent} requests in a row run out of time: it is left alone for ${Math.ceil(d.waitMs / 100) / 10} s`,
    hint: "see the gate's log; raise request_timeout if it needs more time",
  }),
  changed: (d: { upstream: string; lost: string }) => ({
    kind: 'conflict',
    message: `the server ${d.upstream} came back without ${d.lost}: this session has ended`,
    hint: 'initialize anew',
  }),
  silent: (d: { upstream: string; timeoutMs: number }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} was started but did not answer within ${d.timeoutMs} ms, and was stopped`,
    hint: "see the gate's log for what it printed, or raise request_timeout",
  }),
  too_many_sessions: (d: { max: number; whose: string; setting: string }) => ({
    kind: 'limited',
    message: `${d.whose} ${d.max} sessions already`,
    hint: `end some with DELETE, or raise gate.${d.setting}`,
  }),
  too_many_children: (d: { max: number; whose: string; setting: string }) => ({
    kind: 'limited',
    message: `${d.whose} ${d.max} servers running already, and all of them are busy`,
    hint: `try again when some calls have ended, or raise gate.${d.setting}`,
  }),
  too_much_kept: (d: { what: string; maxBytes: number }) => ({
    kind: 'limited',
    message: `${d.what} cannot be kept with the session: there is room for ${d.maxBytes} bytes`,
    hint: 'send less of it, or spread it over several sessions',
  }),
  stopping: () => ({
    kind: 'unavailable',
    message: 'the gate is stopping: the call was not made',
    hint: 'try again when it has started; sessions go on',
  }),
  timed_out: (d: { upstream: string; timeoutMs: number }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} did not answer within ${d.timeoutMs} ms: whether the call took effect is unknown`,
    hint: 'check its effect before trying again, or raise request_timeout',
  }),
  unrecorded: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `the call was not made since it cannot be recorded: ${d.reason}`,
    hint: "look at the ledger's folder: is the disk full?",
  }),
  bad_toggle: (d: { name: string; problem: string }) => ({
    kind: 'config',
    message: `the environment variable ${d.name} ${d.problem}`,
    hint: `correct ${d.name}, or unset it`,
  }),
  unknown_connector: (d: { name: string; known: readonly string[] }) => ({
    kind: 'usage',
    message: `there is no connector ${JSON.stringify(d.name)}`,
    hint: `those that there are: ${d.known.join(', ')}`,
  }),
  connector_is_principal: (d: { name: string }) => ({
    kind: 'config',
    message: `gate.principals.${d.name} has the name of a connector, which is a principal already`,
    hint: 'give the principal another name; rules may name the connector as it is',
  }),
  credentials_damaged: (d: { path: string }) => ({
    kind: 'config',
    message: `the file ${d.path}, which says which connectors' credentials hold, cannot be understood`,
    hint: 'put it back from a backup, or remove it and give every connector a new credential: fairlead gate rotate',
  }),
  bad_message: (d: { problems: readonly string[] }) => ({
    kind: 'usage',
    message: `the message cannot be taken: ${d.problems.join('; ')}`,
    hint: 'see docs/guide/gate.md, Connectors',
  }),
  body_too_large: (d: { maxBytes: number }) => ({ kind: 'usage', message: `the body is larger than ${d.maxBytes} bytes` }),
  credential_in_body: () => ({
    kind: 'usage',
    message: 'there is a credential in the body: it was not looked at, and is to be taken for known to others',
    hint: 'send it as Authorization: Bearer only, and replace it: fairlead gate rotate',
  }),
  handshake_refused: (d: { reason: string }) => ({ kind: 'denied', message: `the handshake is refused: ${d.reason}` }),
  credential_ended: (d: { why: string; at: string }) => ({
    kind: 'unauthenticated',
    message: `this credential is ${d.why} since ${d.at}`,
    hint: 'use the one that took its place, or make one: fairlead gate rotate',
  }),
  no_connector_session: () => ({
    kind: 'conflict',
    message: 'no living session of this credential is meant',
    hint: 'POST /handshake opens one; with several, name it in the header Connector-Session',
  }),
  connector_late: (d: { id: string; afterMs: number }) => ({
    kind: 'conflict',
    message: `the session ${d.id} is late: it sent no heartbeat for ${d.afterMs / 1_000} s`,
    hint: 'POST /heartbeat brings it back',
  }),
  too_often: (d: { waitMs: number }) => ({
    kind: 'limited',
    message: 'this connector sends more messages than it may',
    hint: `try again in ${Math.ceil(d.waitMs / 1_000)} s`,
  }),
  frozen: (d: { why: string; since: string }) => ({
    kind: 'unavailable',
    message: `connectors are frozen since ${d.since} (${d.why})`,
    hint: 'take the direct way until: fairlead gate restore',
  }),
  command_refused: (d: { reason: string }) => ({ kind: 'denied', message: `the command is refused: ${d.reason}` }),
  runtime_busy: (d: { folder: string }) => ({
    kind: 'conflict',
    message: `another gate of this user has its sockets in ${d.folder}`,
    hint: 'stop it, or give this one a folder of its own: gate.runtime in its configuration',
  }),
  command_limited: (d: { reason: string; waitMs: number }) => ({
    kind: 'limited',
    message: `the command is refused: ${d.reason}`,
    hint: 'Retry-After says when it may be tried again',
  }),
  command_unknown: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `the command was sent, and whether it took effect is unknown: ${d.reason}`,
    hint: 'check its effect before trying again',
  }),
  unknown_service: (d: { service: string; known: readonly string[] }) => ({
    kind: 'missing',
    message: `no folder takes files for ${JSON.stringify(d.service.slice(0, 100))}`,
    hint: d.known.length > 0 ? `those that do: ${d.known.join(', ')}` : 'name one under [gate.uploads]',
  }),
  rotation_underway: (d: { connector: string }) => ({
    kind: 'conflict',
    message: `the credential of ${d.connector} is being rotated`,
    hint: 'wait for its end: fairlead gate connectors shows it',
  }),
  rotation_unproved: (d: { connectors: readonly string[] }) => ({
    kind: 'unavailable',
    message: `no holder hand-shook with the new credential of ${d.connectors.join(', ')} before the overlap ended`,
    hint: 'the old one still holds; give the new one to the holder and try again',
  }),
  credential_used: (d: { connector: string }) => ({
    kind: 'conflict',
    message: `${d.connector} had this credential before`,
    hint: 'make a new one',
  }),
  bad_overlap: () => ({
    kind: 'usage',
    message: '--overlap takes a duration from 1s to 24h, such as 10m',
    hint: 'it is how long the old credential and the new one both hold at most',
  }),
  needs_out: () => ({
    kind: 'usage',
    message: 'the new credential has to go somewhere',
    hint: 'name a file for it with --out FILE, or have it printed once on the terminal with --print',
  }),
  no_terminal: () => ({
    kind: 'usage',
    message: 'the credential is printed on a terminal only, so that no log keeps it',
    hint: 'name a file for it with --out FILE',
  }),
  tools_unlisted: (d: { upstream: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the call was not made: the tools of ${d.upstream} could not be listed to compare them with what was accepted (${d.reason})`,
    hint: 'try again; new_tools = "trust" of the upstream turns the comparison off',
  }),
  no_held_tool: (d: { upstream: string; tool: string }) => ({
    kind: 'missing',
    message: `no tool ${d.tool} of ${d.upstream} is in quarantine`,
    hint: 'fairlead gate approve lists those that are; a tool is looked at when a client lists or calls it',
  }),
  tool_changed: (d: { upstream: string; tool: string }) => ({
    kind: 'conflict',
    message: `the definition of ${d.tool} of ${d.upstream} has changed once more since it was shown`,
    hint: `look at it again: fairlead gate approve ${d.upstream} ${d.tool}`,
  }),
  pin_contended: (d: { upstream: string; tool: string }) => ({
    kind: 'conflict',
    message: `other gates write what is accepted of ${d.tool} of ${d.upstream} at the same time`,
    hint: `look at it again: fairlead gate approve ${d.upstream} ${d.tool}`,
  }),
  tool_unacceptable: (d: { upstream: string; tool: string; why: 'ambiguous' | 'configured' | 'doubled' | 'long' }) => ({
    kind: 'conflict',
    message: {
      ambiguous: `the definition of ${d.tool} of ${d.upstream} can be read in two ways: nobody can say what would be accepted`,
      configured: `the configuration says which definition ${d.tool} of ${d.upstream} must have`,
      doubled: `${d.upstream} lists ${d.tool} twice, with two definitions: none of them can be accepted`,
      long: `the definition of ${d.tool} of ${d.upstream} is too long to be shown and accepted`,
    }[d.why],
    hint:
      d.why === 'doubled' || d.why === 'ambiguous'
        ? 'that is for the server to mend'
        : `write its fingerprint, which the log has, into [gate.upstreams.${d.upstream}.pins]`,
  }),
  tool_unconfirmed: (d: { upstream: string; tool: string; diff: string }) => ({
    kind: 'usage',
    message: `${d.tool} of ${d.upstream} was not accepted: nobody is at a terminal to say yes to this\n${d.diff}`,
    hint: 'say it with --yes',
  }),
  not_accepted: (d: { upstream: string; tool: string }) => ({
    kind: 'denied',
    message: `${d.tool} of ${d.upstream} stays in quarantine`,
  }),
  one_answer: () => ({
    kind: 'usage',
    message: 'a call is allowed with --session, or with --for, or refused with --deny',
    hint: 'use one of them',
  }),
  no_duration: (d: { text: string }) => ({ kind: 'usage', message: `--for ${d.text} is no time`, hint: 'such as 30s, 10m or 1h30m' }),
  tool_answer: () => ({
    kind: 'usage',
    message: 'a tool is accepted, or stays in quarantine: --session, --for and --deny are for calls',
    hint: 'fairlead gate approve UPSTREAM TOOL',
  }),
  no_waiting_call: (d: { id: string }) => ({
    kind: 'missing',
    message: `no call ${d.id} waits for approval: it was decided, given up, or its time is over`,
    hint: 'fairlead gate approve lists those that wait',
  }),
  no_session: (d: { id: string }) => ({
    kind: 'conflict',
    message: `the client of the call ${d.id} has no session that a yes could hold for`,
    hint: `approve it once, or for some time: fairlead gate approve ${d.id} --for 10m`,
  }),
  too_many_approvals: (d: { max: number }) => ({
    kind: 'limited',
    message: `${d.max} approvals hold for a session or for some time already`,
    hint: 'approve this call once, or wait until some of them have ended',
  }),
  mcp_off: () => ({
    kind: 'config',
    message: 'ABZU_USE_MCP is not 1: connectors do not go through the gate',
    hint: 'export ABZU_USE_MCP=1 where they should',
  }),
  no_connector_token: (d: { connector: string }) => ({
    kind: 'config',
    message: `there is no credential for ${d.connector}`,
    hint: `make one, and put it into MCP_CONNECTOR_TOKEN or ${d.connector.toUpperCase()}_STAGE_B_CONNECTOR_TOKEN: fairlead gate rotate ${d.connector} --out FILE`,
  }),
  gateway_unreachable: (d: { url: string; reason: string }) => ({
    kind: 'unavailable',
    message: `no gateway answers at ${d.url}: ${d.reason}`,
    hint: 'start it: fairlead gate serve; MCP_GATEWAY_URL says where it is, and ABZU_USE_MCP=0 takes the direct way until then',
  }),
  gateway_refused: (d: { code: string; message: string; status: number; hint?: string }) => ({
    kind: 'denied',
    message: `the gateway refuses: ${d.message} (${d.code}, ${d.status})`,
    ...(d.hint === undefined ? {} : { hint: d.hint }),
  }),
  gateway_answer: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `the gateway's answer cannot be taken: ${d.problem}`,
    hint: 'is that address a Fairlead gate? MCP_GATEWAY_URL says where it is',
  }),
  not_asked: () => ({
    kind: 'unavailable',
    message: 'the gateway was not asked: --offline',
    hint: 'run it again without --offline',
  }),
  no_direct_way: (d: { connector: string; why: string }) => ({
    kind: 'unavailable',
    message: `the gateway is not to be had (${d.why}), and there is no direct way for ${d.connector}`,
    hint: 'hand the adapter a handler for it',
  }),
  bundle_what: () => ({
    kind: 'usage',
    message: 'a bundle is made for an incident with a name of letters, digits and hyphens, or verified',
    hint: 'use: fairlead gate bundle INC-7, or: fairlead gate bundle --verify DIR',
  }),
  no_bundle: (d: { folder: string }) => ({
    kind: 'missing',
    message: `there is no bundle in ${d.folder}, or its manifest cannot be understood`,
    hint: 'name the folder that holds manifest.json',
  }),
})
