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
  unknown_role: (d: { name: string; place: string }) => ({
    kind: 'config',
    message: `${d.place} names the role ${d.name}, which is not declared`,
    hint: `add [[gate.roles.${d.name}.rules]], or correct the name`,
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
    hint: 'use: fairlead gate ledger verify, or: fairlead gate ledger drop --keep MIB',
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
  tool_unacceptable: (d: { upstream: string; tool: string; why: 'configured' | 'doubled' | 'long' }) => ({
    kind: 'conflict',
    message: {
      configured: `the configuration says which definition ${d.tool} of ${d.upstream} must have`,
      doubled: `${d.upstream} lists ${d.tool} twice, with two definitions: none of them can be accepted`,
      long: `the definition of ${d.tool} of ${d.upstream} is too long to be shown and accepted`,
    }[d.why],
    hint:
      d.why === 'doubled'
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
})
