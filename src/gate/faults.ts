// Every way in which the gate can fail, with the next thing to do.
import { faults } from '../kernel/fault.ts'

export const fault = faults('gate', {
  open_door: (d: { listen: string }) => ({
    kind: 'config',
    message: `gate.listen is ${d.listen}, which others can reach, and gate.door lets everyone in without a credential`,
    hint: 'remove gate.door, or listen on 127.0.0.1',
  }),
  no_way_in: (d: { listen: string }) => ({
    kind: 'config',
    message: `gate.listen is ${d.listen}, which others can reach, and no principal has a credential`,
    hint: 'give a principal token_sha256 or peers',
  }),
  unknown_principal: (d: { name: string; place: string }) => ({
    kind: 'config',
    message: `${d.place} names the principal ${d.name}, which is not declared`,
    hint: `add [gate.principals.${d.name}]`,
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
  no_ledger: (d: { folder: string }) => ({
    kind: 'missing',
    message: `there is no ledger in ${d.folder}`,
    hint: 'name the folder ledger/ in the state folder of the gate (gate.state in its configuration)',
  }),
  unknown_action: (d: { action: string }) => ({
    kind: 'usage',
    message: `the ledger cannot be told to ${JSON.stringify(d.action)}`,
    hint: 'use: fairlead gate ledger verify, fairlead gate ledger witness --witness PEER, or: fairlead gate ledger drop --keep MIB',
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
})
