// Every way in which share can fail.
import { faults } from '../kernel/fault.ts'

export const fault = faults('share', {
  api_invalid: (d: { api: string; problem: string }) => ({
    kind: 'usage',
    message: `--api ${d.api}: ${d.problem}`,
    hint: 'write where the API is, without a path: https://api.github.com, or https://HOST of an enterprise server',
  }),
  ttl_invalid: (d: { name: string; value: string }) => ({
    kind: 'usage',
    message: `${d.name} is ${JSON.stringify(d.value.slice(0, 40))}`,
    hint: 'write a number of seconds from 0 to 86400',
  }),
  size_invalid: (d: { size: number }) => ({
    kind: 'usage',
    message: `a cache of ${d.size} MiB cannot be`,
    hint: 'write --max-size with 8 to 65536, in MiB',
  }),
  socket_too_long: (d: { path: string }) => ({
    kind: 'config',
    message: `${d.path} is too long for a socket, which has at most 107 characters`,
    hint: 'set XDG_RUNTIME_DIR (or FAIRLEAD_HOME) to a shorter folder',
  }),
  running: (d: { folder: string }) => ({
    kind: 'conflict',
    message: `another process has the cache in ${d.folder} open`,
    hint: 'a proxy runs already, or a `fairlead share gh`: "fairlead share stats" asks it',
  }),
  peers_invalid: (d: { address: string }) => ({
    kind: 'config',
    message: `MCP_P2P_BOOTSTRAP_PEERS: ${JSON.stringify(d.address)} is no address of a host`,
    hint: 'copy the line that "fairlead share host" prints: /ip4/ADDRESS/tcp/9100/p2p/12D3KooW…; several are separated by commas',
  }),
  no_secret: () => ({
    kind: 'config',
    message: 'a group needs a secret, and there is none',
    hint: 'set CACHE_P2P_SHARED_SECRET to the same long random text on the host and on all runners: openssl rand -hex 32',
  }),
  value_invalid: (d: { name: string; problem: string }) => ({
    kind: 'usage',
    message: `the value of ${JSON.stringify(d.name.slice(0, 60))} cannot be kept: ${d.problem}`,
    hint: 'put what JSON can say: texts, numbers, true, false, null, and lists and objects of them',
  }),
  value_too_large: (d: { name: string; sizeBytes: number; maxBytes: number }) => ({
    kind: 'limited',
    message: `the value of ${JSON.stringify(d.name.slice(0, 60))} has ${d.sizeBytes} bytes; ${d.maxBytes} are allowed`,
    hint: 'put less under one name',
  }),
  ip_invalid: (d: { ip: string }) => ({
    kind: 'usage',
    message: `--public-ip ${JSON.stringify(d.ip.slice(0, 60))} is no IP address`,
    hint: 'write the address alone: 203.0.113.42',
  }),
  port_invalid: (d: { port: number }) => ({
    kind: 'usage',
    message: `there is no port ${d.port}`,
    hint: 'write a port from 1 to 65535',
  }),
  key_damaged: (d: { path: string }) => ({
    kind: 'config',
    message: `${d.path}, the key of the cache, is damaged`,
    hint: 'remove it: a new one is made, and what was kept is fetched again',
  }),
})
