// Every way in which reach can fail. Three open with exactly the words that the runbook's troubleshooting names.
import { type FaultKind, faults } from '../kernel/fault.ts'

export const fault = faults('reach', {
  registries_damaged: () => ({
    kind: 'config',
    message: 'registries.json, which pins the keys of registries, cannot be understood',
    hint: 'put back a copy, or remove it: the next registry that answers is then trusted as if first met',
  }),
  server_invalid: (d: { server: string }) => ({
    kind: 'usage',
    message: `"${d.server}" names no registry`,
    hint: 'write HOST or HOST:PORT, or wss://HOST for a WebSocket; an IPv6 address with a port stands in brackets: [::1]:8765',
  }),
  host_invalid: (d: { host: string }) => ({
    kind: 'usage',
    message: `"${d.host}" is no address to listen on`,
    hint: 'write an IP address of this machine, such as 127.0.0.1, or 0.0.0.0 for all',
  }),
  port_invalid: (d: { port: number }) => ({
    kind: 'usage',
    message: `there is no port ${d.port}`,
    hint: 'write 1 to 65535, or 0 for any free one',
  }),
  peer_text_invalid: (d: { length: number }) => ({
    kind: 'usage',
    message: d.length === 0 ? 'which peer? none was named' : `${d.length} characters name no peer`,
    hint: 'write a whole id, its first 9 characters or more, or a name: "fairlead reach peers" lists them',
  }),
  peer_id_invalid: (d: { text: string; where: string }) => ({
    kind: 'usage',
    message: `"${d.text}" in ${d.where} is no peer id`,
    hint: 'a full peer id is needed, as "fairlead reach status" prints it on the other machine (12D3KooW…)',
  }),
  one_target: () => ({
    kind: 'usage',
    message: 'what should be served? name one of --command and --to',
    hint: 'such as: --command "npx -y @modelcontextprotocol/server-filesystem /home/user/projects", or --to http://127.0.0.1:3000/mcp',
  }),
  target_invalid: (d: { target: string }) => ({
    kind: 'usage',
    message: `"${d.target}" is nothing that can be served`,
    hint: 'write --to http://HOST:PORT/PATH, --to https://HOST/PATH or --to unix:PATH',
  }),
  target_has_credentials: (d: { target: string }) => ({
    kind: 'usage',
    message: `the user name or password in --to ${d.target} could be read by everybody on this machine`,
    hint: 'leave it out: what is served should trust this machine, and let peers be authorized here',
  }),
  flag_needs_flag: (d: { flag: string; other: string }) => ({
    kind: 'usage',
    message: `--${d.flag} says something about --${d.other}, which is not there`,
    hint: `leave --${d.flag} out, or add --${d.other}`,
  }),
  one_passphrase: () => ({
    kind: 'usage',
    message: 'there are two places for one passphrase',
    hint: 'name --passphrase-file or --passphrase-env, not both',
  }),
  backup_exists: (d: { path: string }) => ({
    kind: 'conflict',
    message: `${d.path} is there already`,
    hint: 'choose another name, or replace it with --force',
  }),
  backup_missing: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is no backup at ${d.path}`,
    hint: 'write the path of a file that "fairlead reach backup" made',
  }),
  backup_too_large: (d: { sizeBytes: number; limitBytes: number }) => ({
    kind: 'limited',
    message: `a backup of ${d.sizeBytes} bytes: the limit is ${d.limitBytes}`,
    hint: 'what takes most room? du -a on the folder that "fairlead reach status" shows; move old parts of it away',
  }),
  backup_moving: (d: { folder: string }) => ({
    kind: 'unavailable',
    message: `${d.folder} does not hold still`,
    hint: 'try again',
  }),
  backup_invalid: (d: { problem: string }) => ({
    kind: 'conflict',
    message: `this is no backup of an identity: ${d.problem}`,
    hint: 'nothing was changed; take another copy of it',
  }),
  two_seals: () => ({ kind: 'usage', message: 'a passphrase or recipients, not both', hint: 'age seals a file in one of the two ways' }),
  age_key_needed: () => ({
    kind: 'unauthenticated',
    message: 'the backup was sealed for the owner of an age key',
    hint: 'name the file with that key: --age-key FILE',
  }),
  restore_host_runs: (d: { folder: string }) => ({
    kind: 'conflict',
    message: `a process works with the identity in ${d.folder}`,
    hint: 'stop it first ("fairlead reach agent", "listen", "mcp-serve", "fairlead up")',
  }),
  restore_under_way: (d: { folder: string }) => ({
    kind: 'unavailable',
    message: `${d.folder} is just being backed up or restored`,
    hint: 'try again in a moment',
  }),
  agent_seals: () => ({
    kind: 'usage',
    message: 'a key in ssh-agent takes no passphrase of ours',
    hint: 'leave one of them out: ssh-agent asks for its own when the key is added',
  }),
  remove_or_set: () => ({
    kind: 'usage',
    message: 'shall the passphrase be removed, or be another one?',
    hint: 'leave --remove out, or the new passphrase',
  }),
  one_keeping: () => ({
    kind: 'usage',
    message: '--remove, --keychain and --forget are three different wishes',
    hint: 'leave all but one of them out',
  }),
  not_in_keychain: (d: { path: string }) => ({
    kind: 'usage',
    message: `the keychain does not remember the passphrase of ${d.path}`,
    hint: 'there is nothing to forget',
  }),
  nobody_authorized: () => ({
    kind: 'usage',
    message: 'nobody would be authorized',
    hint: 'name who may connect: --authorized-peer ID (again for each one), --authorized-file FILE with one id a line, or --policy FILE',
  }),
  peer_not_found: (d: { peer: string; tried: string; isKnown?: boolean }) => ({
    kind: 'missing',
    message: `Peer not found: ${d.peer} (${d.tried})`,
    hint: 'are both registered ("fairlead reach peers")? is it running "fairlead reach mcp-serve"? can this machine reach its address? "fairlead reach register" on both renews what is known; on one network its whole id is enough',
  }),
  peer_ambiguous: (d: { peer: string; candidates: readonly string[] }) => ({
    kind: 'usage',
    message: `"${d.peer}" means more than one peer: ${d.candidates.join(', ')}`,
    hint: 'write more of the id, or all of it',
  }),
  nobody_knows: () => ({ kind: 'missing', message: 'nobody who was asked knows where that peer is' }),
  handshake_failed: (d: { peer: string; problem: string }) => ({
    kind: 'unauthenticated',
    message: `Handshake Failed: ${d.peer}: ${d.problem}`,
    hint: 'is this the id that "fairlead reach status" prints on that machine? an id changes with its wallet; are both clocks right?',
  }),
  decryption_error: (d: { peer: string; problem: string }) => ({
    kind: 'unauthenticated',
    message: `Decryption Error: ${d.peer}: ${d.problem}`,
    hint: 'something on the way changed the bytes, or another program answers there; check the address and try again',
  }),
  not_authorized: (d: { peer: string }) => ({
    kind: 'denied',
    message: `not authorized by ${d.peer}`,
    hint: 'its owner must name the id that "fairlead reach status" prints here: mcp-serve --authorized-peer ID',
  }),
  registry_unreachable: (d: { server: string; problem: string }) => ({
    kind: 'unavailable',
    message: `the registry at ${d.server} does not answer: ${d.problem}`,
    hint: d.server.includes('://')
      ? `what is in between? fairlead reach doctor --server ${d.server}`
      : 'is it running ("fairlead reach registry")? is its port open (try: telnet HOST 8765)?',
  }),
  registry_key_changed: (d: { server: string; pinned: string; found: string; file: string }) => ({
    kind: 'unauthenticated',
    message: `the registry at ${d.server} has another key (${d.found}) than when this machine first met it (${d.pinned})`,
    hint: `someone may be in between. If its owner says that the key was changed on purpose, remove the line for ${d.server} from ${d.file} and register again`,
  }),
  registry_refused: (d: { server: string; code: string; message: string; known: number | undefined }) => ({
    kind: 'conflict',
    message: `the registry at ${d.server} refused: ${d.message}`,
  }),
  registry_garbled: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `the registry sent something that is no answer: ${d.problem}`,
    hint: 'is there a Fairlead registry of the same version at that address?',
  }),
  request_invalid: (d: { problem: string }) => ({ kind: 'usage', message: `not a request that this registry knows: ${d.problem}` }),
  record_invalid: (d: { problem: string }) => ({
    kind: 'denied',
    message: `the record was not accepted: ${d.problem}`,
    hint: 'only the owner of a key can write its record; check the clock of this machine',
  }),
  record_too_old: (d: { sequence: number; known: number }) => ({
    kind: 'conflict',
    message: `the record (sequence ${d.sequence}) is not later than the one that is known (${d.known})`,
    hint: 'another process with the same wallet wrote later, or the clock of this machine went back',
  }),
  key_rotated: (d: { peerId: string }) => ({
    kind: 'conflict',
    message: `the key of ${d.peerId} was rotated: another one speaks in its place`,
    hint: 'does a process with the old wallet still run? start it again; a rotated key does not rotate once more, it can only be revoked',
  }),
  key_revoked: (d: { peerId: string }) => ({
    kind: 'denied',
    message: `the key of ${d.peerId} was revoked: what it says counts no more`,
    hint: 'make a new identity ("fairlead reach init --name NAME --force") and tell its id to your peers in another way',
  }),
  rotation_in_agent: (d: { peerId: string }) => ({
    kind: 'usage',
    message: `the key of ${d.peerId} is in ssh-agent, where no new one can be made from here`,
    hint: 'make one and name it: ssh-keygen -t ed25519 -C NAME -f FILE, ssh-add FILE, then fairlead reach rotate --ssh-agent NAME',
  }),
  rotation_overtaken: (d: { old: string; found: string | undefined }) => ({
    kind: 'conflict',
    message: `the wallet that was to be rotated (${d.old}) is not there any more${d.found === undefined ? '' : `: it is ${d.found} now`}`,
    hint: 'try again: the rotation then begins anew, with the wallet that is there',
  }),
  peer_rotated: (d: { peer: string; next: string; at: number }) => ({
    kind: 'conflict',
    message: `${d.peer} is now ${d.next}: its key was rotated on ${new Date(d.at).toISOString()}, signed by the old key and the new one`,
    hint: 'use the new id from now on; or go on by the old one with --follow-rotations',
  }),
  peer_revoked: (d: { peer: string; at: number; reason: string | undefined }) => ({
    kind: 'denied',
    message: `${d.peer} was revoked by its owner on ${new Date(d.at).toISOString()}${d.reason === undefined ? '' : ` (${d.reason})`}`,
    hint: 'whoever holds that key need not be its owner any more: ask the owner for another id, in another way',
  }),
  registry_full: (d: { limit: number }) => ({
    kind: 'limited',
    message: `the registry holds ${d.limit} records and takes no more`,
    hint: 'try again when some have expired',
  }),
  registry_busy: (d: { peerId: string }) => ({
    kind: 'unavailable',
    message: `other registries keep writing the record of ${d.peerId}`,
    hint: 'try again',
  }),
  no_cluster: (d: { path: string }) => ({
    kind: 'config',
    message: `${d.path} has no table [cluster], and a registry reads no other`,
    hint: 'add one (docs/guide/cluster.md), or leave --config out',
  }),
  registry_unsure: (d: { peerId: string }) => ({
    kind: 'unavailable',
    message: `the registry cannot tell whether ${d.peerId} was revoked: most servers of its cluster are not there`,
    hint: 'try again when they are back',
  }),
  too_often: (d: { afterMs: number }) => ({ kind: 'limited', message: `too many requests: try again in ${Math.ceil(d.afterMs / 1000)} s` }),
  too_many_requests: (d: { limit: number }) => ({
    kind: 'limited',
    message: `more than ${d.limit} requests are open`,
    hint: 'wait for some answers first',
  }),
  not_initialized: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `the MCP server was started again but could not be initialized: ${d.problem}`,
  }),
  child_ended: (d: { command: string; how: string }) => ({
    kind: 'unavailable',
    message: `the MCP server "${d.command}" ended (${d.how}) before it answered`,
    hint: 'the next request starts it again; whether this one was carried out is not known',
  }),
  socket_ended: (d: { path: string; how: string }) => ({
    kind: 'unavailable',
    message: `what serves at ${d.path} ended (${d.how}) before it answered`,
    hint: 'the next request connects again; whether this one was carried out is not known',
  }),
  tunnel_ended: (d: { peer: string; how: string }) => ({
    kind: 'unavailable',
    message: `the connection to ${d.peer} ended (${d.how}) before it answered`,
    hint: 'the next request opens it again; whether this one was carried out is not known',
  }),
  text_invalid: (d: { problem: string }) => ({
    kind: 'usage',
    message: `this cannot be sent as a message: ${d.problem}`,
    hint: 'a message has 1 byte to 32 KiB of text',
  }),
  not_left: (d: { why: string; problem: string }) => ({
    kind: 'unavailable',
    message: `${d.why}; and it could not be left in a mailbox: ${d.problem}`,
    hint: 'try again later; or ask its owner to run "fairlead reach register" at the same registry',
  }),
  not_reached: (d: { peer: string; tried: string }) => ({
    kind: 'unavailable',
    message: `Peer not found: ${d.peer} could not be reached, nothing was delivered (${d.tried})`,
    hint: 'does "fairlead reach listen", "agent" or "mcp-serve" run there? can this machine reach its address? "fairlead reach register" on both renews what is known',
  }),
  no_receipt: (d: { peer: string; problem: string }) => ({
    kind: 'unavailable',
    message: `${d.peer} was reached but gave no receipt: ${d.problem}`,
    hint: 'whether the message arrived is not known; sending it again makes another message',
  }),
  receipt_invalid: (d: { peer: string; problem: string }) => ({
    kind: 'unauthenticated',
    message: `what ${d.peer} sent is no receipt for this message: ${d.problem}`,
    hint: 'take the message as not delivered; its version of Fairlead may be another one',
  }),
  message_refused: (d: { peer: string; code: string; kind: FaultKind; message: string }) => ({
    kind: d.kind,
    message: `${d.peer} refused the message: ${d.message}`,
    ...(d.code === 'reach.message_skewed' ? { hint: 'set both clocks right: timedatectl set-ntp true' } : {}),
  }),
  mailbox_days: (d: { days: number }) => ({
    kind: 'usage',
    message: `${d.days} days are no time for a mailbox`,
    hint: 'write 1 to 7: the signature of a message is good for no longer',
  }),
  no_mailbox: (d: { peer: string }) => ({
    kind: 'missing',
    message: `${d.peer} has no mailbox here: it was not at this registry lately`,
  }),
  mailbox_full: (d: { peer: string }) => ({
    kind: 'limited',
    message: `the mailbox of ${d.peer} is full`,
    hint: 'try again when its owner was there',
  }),
  mailboxes_full: (d: { limit: string }) => ({
    kind: 'limited',
    message: `the registry holds ${d.limit} for all mailboxes together and takes no more`,
    hint: 'try again when some have been emptied',
  }),
  item_too_large: (d: { sizeBytes: number; limit: number }) => ({
    kind: 'usage',
    message: `an item of ${d.sizeBytes} bytes, the limit is ${d.limit}`,
  }),
  message_invalid: (d: { problem: string }) => ({ kind: 'usage', message: `not a signed message: ${d.problem}` }),
  message_misdirected: (d: { to: string }) => ({ kind: 'denied', message: `the message is for ${d.to}, not for this peer` }),
  message_foreign: (d: { signer: string; peer: string }) => ({
    kind: 'denied',
    message: `the message was signed by ${d.signer}, but ${d.peer} brings it`,
  }),
  message_skewed: (d: { aheadMs: number; limitMs: number }) => ({
    kind: 'denied',
    message: `the message's time is ${Math.round(Math.abs(d.aheadMs) / 1000)} s ${d.aheadMs > 0 ? 'ahead of' : 'behind'} the recipient's clock; ${d.limitMs / 1000} s are allowed`,
    hint: 'set both clocks right: timedatectl set-ntp true',
  }),
  message_expired: (d: { lateMs: number }) => ({
    kind: 'denied',
    message: `the message lay in the mailbox for too long: it ended ${Math.ceil(d.lateMs / 60_000)} min ago`,
  }),
  message_replayed: (d: { id: string }) => ({ kind: 'conflict', message: `the message ${d.id} was received before` }),
  too_many_messages: (d: { limit: number }) => ({
    kind: 'limited',
    message: `it takes no more than ${d.limit} messages at once`,
    hint: 'try again in a minute',
  }),
  no_history: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is nothing in ${d.path} yet`,
    hint: 'it begins with the first message that is sent or received',
  }),
  witness_refused: (d: { peer: string; code: string; kind: FaultKind; message: string }) => ({
    kind: d.kind,
    message: `the witness ${d.peer} refused: ${d.message}`,
    ...(d.code === 'reach.not_witnessed'
      ? { hint: 'on that machine: fairlead reach witness add ID, with the id that "fairlead reach status" prints here' }
      : {}),
    ...(d.code === 'ledger.rolled_back' || d.code === 'ledger.forked'
      ? { hint: 'somebody cut or altered the history: compare it with a copy; deleting it begins a new one' }
      : {}),
  }),
  witness_silent: (d: { peer: string; problem: string }) => ({
    kind: 'unavailable',
    message: `${d.peer} was reached but did not answer as a witness: ${d.problem}`,
    hint: 'ask again; nothing is lost if it has signed already',
  }),
  witness_garbled: (d: { peer: string; problem: string }) => ({
    kind: 'unauthenticated',
    message: `what ${d.peer} sent is no word of a witness: ${d.problem}`,
    hint: 'its version of Fairlead may be another one; do not rely on it',
  }),
  not_witnessed: (d: { peer: string }) => ({ kind: 'denied', message: `this machine is no witness for ${d.peer}` }),
  witness_request_invalid: (d: { problem: string }) => ({ kind: 'usage', message: `not a request for a witness: ${d.problem}` }),
  witness_usage: (d: { action: string }) => ({
    kind: 'usage',
    message: `"${d.action}" is nothing that can be done like this`,
    hint: 'fairlead reach witness add ID | remove ID | list',
  }),
  witnessing_invalid: () => ({
    kind: 'usage',
    message: '--witness-every and --witness-after are 1 or more',
    hint: 'leave them out: once an hour, and after 100 entries',
  }),
  no_proof_file: (d: { file: string }) => ({
    kind: 'missing',
    message: `there is no file ${d.file}`,
    hint: 'a proof is made by: fairlead reach history --prove ENTRY > FILE',
  }),
  proof_alone: () => ({
    kind: 'usage',
    message: '--prove and --check stand alone',
    hint: 'ask for one thing at a time; only --verify and --witness go together',
  }),
})
