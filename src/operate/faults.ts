// Every way the machine's tools and their server can fail.
import { faults } from '../kernel/fault.ts'

export const fault = faults('operate', {
  root_wanted: (d: { what: string }) => ({ kind: 'denied', message: `only root may ${d.what}`, hint: 'run it with sudo or doas' }),
  folder_taken: (d: { folder: string }) => ({
    kind: 'conflict',
    message: `${d.folder} is there already: the evidence goes to a folder of its own`,
    hint: 'name one that is not there with --to',
  }),
  bad_secret_name: (d: { name: string }) => ({
    kind: 'usage',
    message: `${JSON.stringify(d.name.slice(0, 64))} is no name that stands in secrets.env`,
    hint: 'letters, digits and _, as in config.yml: { env: NAME }',
  }),
  bad_cursor: (d: { problem: string }) => ({
    kind: 'usage',
    message: `the cursor cannot be used: ${d.problem}`,
    hint: 'ask without a cursor for the first page, then pass nextCursor with otherwise the same arguments',
  }),
  token_wanted: (d: { host: string }) => ({
    kind: 'config',
    message: `the machine tools would answer anyone who reaches ${d.host}: that is not a loopback address, and no token is set`,
    hint: 'listen on 127.0.0.1 and let the gate stand in front, or set a token',
  }),
  runtime_busy: (d: { folder: string }) => ({
    kind: 'conflict',
    message: `another machine server of this user has its sockets in ${d.folder}`,
    hint: 'stop it, or give this one a folder of its own: server.runtime in its configuration',
  }),
  helper_away: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `what needs root cannot be done: ${d.reason}`,
    hint: 'start the helper: sudo systemctl start raspi-ops-agent',
  }),
  no_credential: () => ({
    kind: 'unauthenticated',
    message: 'this server asks for a credential, and the request has none',
    hint: 'send Authorization: Bearer with a token of this server or of an issuer that it knows, or come through Cloudflare Access',
  }),
  bad_credential: (d: { problem: string }) => ({
    kind: 'unauthenticated',
    message: d.problem,
    hint: 'get a new token of this server, or of an issuer that it knows',
  }),
  not_let_in: () => ({
    kind: 'denied',
    message: 'the token is good, but of somebody whom no rule of this server lets in',
    hint: 'whoever runs this machine can name them in its config.yml (access.…rules)',
  }),
  keys_away: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `the token cannot be checked now: ${d.problem}`,
    hint: 'try again in a few seconds',
  }),
  bad_keys: (d: { name: string; reason: string }) => ({
    kind: 'config',
    message: `the keys of access.issuers.${d.name} cannot be used: ${d.reason}`,
    hint: 'name a file with a JSON Web Key Set (jwks_file)',
  }),
  doubled_token: (d: { name: string; other: string }) => ({
    kind: 'config',
    message: `${d.name} and ${d.other} have the same token`,
    hint: 'give each a token of its own',
  }),
  audit_away: (d: { folder: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the audit log in ${d.folder} cannot be written: ${d.reason}`,
    hint: 'make room on its disk, or see whether this user may write the folder',
  }),
  no_audit: (d: { folder: string }) => ({
    kind: 'missing',
    message: `there is no audit log in ${d.folder}`,
    hint: 'name the folder of the logs, such as /var/log/mcp-raspi, or that of a copy',
  }),
  no_logs: (d: { folder: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the logs in ${d.folder} cannot be read: ${d.reason}`,
    hint: 'check that the folder is there, and that this user is in the group that may read it (mcp-raspi)',
  }),
  no_journal: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `the journal cannot be read: ${d.reason}`,
    hint: 'run on a machine with systemd, as a user in the group systemd-journal',
  }),
  bad_journal_filter: (d: { problem: string }) => ({
    kind: 'usage',
    message: `the journal cannot be searched for that: ${d.problem}`,
    hint: 'name a unit as systemctl does (nginx.service), a boot by its number or id (0, -1), and a regular expression as PCRE has them',
  }),
  no_metrics: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `no metrics can be read from ${d.path}: ${d.reason}`,
    hint: 'they are kept while the server runs: fairlead operate server (and this user may have to join its group)',
  }),
  metrics_elsewhere: (d: { path: string }) => ({
    kind: 'unavailable',
    message: `this server does not sample: it only reads ${d.path}`,
    hint: 'ask the server that does, over HTTP',
  }),
  bad_range: (d: { problem: string }) => ({
    kind: 'usage',
    message: `the range cannot be asked for: ${d.problem}`,
    hint: 'give times as 2026-11-30T08:00:00Z, from before to, and bucket_seconds of at most 300, or a multiple of 300, or above 3600 a multiple of 3600',
  }),
  helper_lost: (d: { tool: string }) => ({
    kind: 'unavailable',
    message: `the helper ended while it was at ${d.tool}: whether it was done is not known`,
    hint: 'look at the machine before you ask again; the helper is started again by itself',
  }),
  helper_busy: (d: { maxCalls: number }) => ({
    kind: 'limited',
    message: `${d.maxCalls} calls wait for the helper already`,
    hint: 'wait for some of them to end, then try again',
  }),
  bad_request: (d: { problem: string }) => ({
    kind: 'usage',
    message: `the helper does not take that: ${d.problem}`,
    hint: 'ask by a server of the same version as the helper',
  }),
  unknown_operation: (d: { operation: string }) => ({
    kind: 'missing',
    message: `the helper knows no operation ${d.operation}`,
    hint: 'fairlead operate tools lists them',
  }),
  not_listed: (d: { tool: string; list: string; name: string }) => ({
    kind: 'denied',
    message: `${d.tool} may not touch ${d.name}: it is not on the list helper.allow.${d.list}`,
    hint: 'whoever is root on this machine can put it there, in its config.yml',
  }),
  switched_off: (d: { tool: string; key: string }) => ({
    kind: 'denied',
    message: `${d.tool} is not allowed on this machine: ${d.key} is off`,
    hint: `whoever is root on this machine can set ${d.key} in its config.yml`,
  }),
  too_often: (d: { tool: string; waitMs: number }) => ({
    kind: 'limited',
    message: `${d.tool} was called too often: once more in ${Math.ceil(d.waitMs / 1_000)} s`,
    hint: 'wait, or have the limits in the configuration of the helper raised',
  }),
  unrecorded: (d: { tool: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.tool} was not done, since it could not be recorded: ${d.reason}`,
    hint: 'make room on the disk of the ledger (helper.ledger), then try again',
  }),
  untrusted_file: (d: { path: string; problem: string; hint: string }) => ({
    kind: 'config',
    message: `${d.path} is not used: ${d.problem}`,
    hint: d.hint,
  }),
  bad_unit: (d: { unit: string }) => ({
    kind: 'usage',
    message: `${JSON.stringify(d.unit)} is no name of a unit`,
    hint: 'service_list names the units of this machine',
  }),
  unknown_unit: (d: { unit: string }) => ({
    kind: 'missing',
    message: `there is no unit ${d.unit} on this machine`,
    hint: 'service_list names the units of this machine',
  }),
  systemd_refused: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `systemd did not do it: ${d.reason}`,
    hint: 'look at the unit and its log: systemctl status UNIT, journalctl -u UNIT',
  }),
  not_that_process: (d: { pid: number; name: string; problem: string }) => ({
    kind: 'conflict',
    message: `the process ${d.pid} is not signalled as ${d.name}: ${d.problem}`,
    hint: 'process_list tells pid and name of each process',
  }),
  no_process: (d: { pid: number }) => ({
    kind: 'missing',
    message: `there is no process ${d.pid}`,
    hint: 'process_list tells pid and name of each process',
  }),
  power_busy: (d: { action: string; dueAt: string }) => ({
    kind: 'conflict',
    message: `a ${d.action} is on its way already, at ${d.dueAt}`,
    hint: 'cancel it first, by system_cancel',
  }),
  sandboxed_meanwhile: (d: { action: string }) => ({
    kind: 'denied',
    message: `the ${d.action} was dropped: a sandbox mode was set meanwhile`,
  }),
  nothing_planned: () => ({ kind: 'missing', message: 'there is no reboot and no shutdown to cancel' }),
  not_confirmed: (d: { hostname: string }) => ({
    kind: 'usage',
    message: `a shutdown is not undone from afar: it wants confirm to be the name of this machine, ${d.hostname}`,
    hint: 'ask whoever you work for, then call again with confirm',
  }),
  no_processes: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `the processes of this machine cannot be listed: ${d.reason}`,
    hint: 'run the machine tools on Linux, with /proc mounted',
  }),
})
