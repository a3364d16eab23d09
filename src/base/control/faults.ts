// Every way in which a call to a daemon can fail, besides the faults of the daemon itself.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('control', {
  unknown_operation: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is no operation at ${d.path}`,
    hint: 'GET /v1/about names those that there are; those that change something are on change.sock only',
  }),
  bad_input: (d: { problem: string }) => ({ kind: 'usage', message: `the input is not what the operation takes: ${d.problem}` }),
  request_cut: () => ({
    kind: 'unavailable',
    message: 'the request ended in the middle',
    hint: 'send it again, from the start',
  }),
  busy_port: (d: { daemon: string; host: string; port: number; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.daemon} cannot listen on ${d.host}:${d.port}: ${d.reason}`,
    hint: `see who holds it: ss -ltnp 'sport = :${d.port}'; or name another address of this machine`,
  }),
  bad_certificate: (d: { daemon: string; reason: string }) => ({
    kind: 'config',
    message: `the certificate and key of ${d.daemon} cannot be used: ${d.reason}`,
    hint: 'both are PEM, the chain begins with its own certificate, and the key belongs to that',
  }),
  client_gone: () => ({ kind: 'unavailable', message: 'the client went away before it had its answer' }),
  stopping: (d: { daemon: string }) => ({
    kind: 'unavailable',
    message: `the ${d.daemon} is stopping`,
    hint: 'call again when it runs; what was asked for may have been done in part',
  }),
  unreachable: (d: { daemon: string; path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `no ${d.daemon} answers at ${d.path} (${d.reason})`,
    hint: d.path.startsWith('/')
      ? 'is it running, as this user? One that runs from a configuration file of its own needs the same --config FILE here'
      : 'is it running, and reachable from here?',
  }),
  untrusted: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `what answers at ${d.path} is not the node that was pinned (${d.reason}); nothing was sent to it`,
    hint: 'is it the right machine? If its certificate authority was made anew, pin the new one',
  }),
  strange_answer: (d: { path: string; problem: string }) => ({
    kind: 'unavailable',
    message: `what answers at ${d.path} is not the daemon that was expected: ${d.problem}`,
    hint: 'is it another version?',
  }),
  answer_cut: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the connection to ${d.path} broke before the answer was whole (${d.reason})`,
    hint: 'what was asked for may have been done, or go on: look before you ask again',
  }),
})
