// Every way in which two peers fail to come together.
import { faults } from '../../kernel/fault.ts'

const shown = (addresses: readonly string[]): string => (addresses.length > 0 ? addresses.join(', ') : 'none is known')

export const fault = faults('peer', {
  unreachable: (d: { peerId: string; addresses: readonly string[]; problem: string }) => ({
    kind: 'unavailable',
    message: `${d.peerId} did not answer (addresses tried: ${shown(d.addresses)}): ${d.problem}`,
    hint: 'is it running, and is its port open to this machine? Its owner sees its addresses in: fairlead reach status',
  }),
  wrong_identity: (d: { peerId: string; address: string }) => ({
    kind: 'denied',
    message: `someone else than ${d.peerId} answers at ${d.address}: the key it proved is not the one that was asked for`,
    hint: 'ask the owner for the peer id in another way: a machine that was set up anew has another one',
  }),
  refused: (d: { peerId: string; reason: string; code?: string }) => ({
    kind: 'denied',
    message: `${d.peerId} refused: ${d.reason}`,
    hint: 'its owner decides: fairlead reach mcp-serve --authorized-peer ID, with your peer id',
  }),
  lost: (d: { peerId: string; problem: string }) => ({ kind: 'unavailable', message: `the connection to ${d.peerId} broke: ${d.problem}` }),
  bad_address: (d: { address: string; problem: string }) => ({
    kind: 'usage',
    message: `${JSON.stringify(d.address)} is no address to use: ${d.problem}`,
    hint: 'write it as a multiaddr: /ip4/192.0.2.7/tcp/8766',
  }),
  proxy_invalid: (d: { variable: string; problem: string }) => ({
    kind: 'config',
    message: `the proxy that the variable ${d.variable} names cannot be used: ${d.problem}`,
    hint: `write it as ${d.variable}=http://proxy.example.org:3128, with NAME:PASSWORD@ before the host if the proxy asks for that`,
  }),
  cannot_listen: (d: { addresses: readonly string[]; problem: string }) => ({
    kind: 'conflict',
    message: `cannot listen on ${shown(d.addresses)}: ${d.problem}`,
    hint: 'is the port taken? choose another one, or end the program that holds it',
  }),
  other_host: (d: { path: string; peerId: string; found: string }) => ({
    kind: 'conflict',
    message: `a process of another identity (${d.found}) is still the host at ${d.path}, where ${d.peerId} should be`,
    hint: 'the wallet was replaced while it ran: stop that process ("fairlead reach agent", "listen", "mcp-serve"), then try again',
  }),
  host_silent: (d: { path: string }) => ({
    kind: 'unavailable',
    message: `another process is the host of this identity, but it does not answer at ${d.path}`,
    hint: 'if it hangs, stop it: the next process takes its place',
  }),
  host_gone: (d: { peerId: string }) => ({
    kind: 'unavailable',
    message: `the process that was the host of ${d.peerId} ended meanwhile`,
    hint: 'try again',
  }),
  closed: (d: { peerId: string }) => ({ kind: 'unavailable', message: `the peer host of ${d.peerId} is closed` }),
})
