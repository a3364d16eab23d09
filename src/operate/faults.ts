// Every way the machine's tools and their server can fail.
import { faults } from '../kernel/fault.ts'

export const fault = faults('operate', {
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
  no_processes: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `the processes of this machine cannot be listed: ${d.reason}`,
    hint: 'run the machine tools on Linux, with /proc mounted',
  }),
})
