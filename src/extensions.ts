// Every extension file with a lazy import: made by scripts/generate.ts, do not edit (npm run generate).
import type { CommandEntry } from './base/terminal/command.ts'

export const commands: readonly CommandEntry[] = [
  { path: ['aliases'], summary: 'list the runbooks\' command names, or put them on your path', load: () => import('./commands/aliases.ts') },
  { path: ['completion'], summary: 'print a script that completes commands in your shell', load: () => import('./commands/completion.ts') },
  { path: ['config'], summary: 'check the configuration, or show every value and where it comes from', load: () => import('./commands/config.ts') },
  { path: ['gate', 'ledger'], summary: 'verify the record of calls: intact, or which entry is the first bad one; search it; have it witnessed; drop its oldest files', load: () => import('./commands/ledger.ts') },
  { path: ['up'], summary: 'bring up a node on this machine, and prove it with a real call', load: () => import('./commands/up.ts') },
  { path: ['gate', 'approve'], summary: 'say yes or no to a call that waits for it, or accept a tool\'s changed definition', load: () => import('./gate/commands/approve.ts') },
  { path: ['gate', 'bundle'], summary: 'bundle receipts, rotation ledger and findings for an incident, or verify such a bundle', load: () => import('./gate/commands/bundle.ts') },
  { path: ['gate', 'connectors'], summary: 'show the connectors of the running gate: credential, sessions, last heartbeat', load: () => import('./gate/commands/connectors.ts') },
  { path: ['gate', 'doctrine'], summary: 'check the connectors: sessions, rotations, heartbeats, records, with evidence and remedy', load: () => import('./gate/commands/doctrine.ts') },
  { path: ['gate', 'freeze'], summary: 'freeze the connectors of the running gate: they are told to take the direct way', load: () => import('./gate/commands/freeze.ts') },
  { path: ['gate', 'packet'], summary: 'rehearse handshake and heartbeat of every connector without the gate that runs, and keep what was said', load: () => import('./gate/commands/packet.ts') },
  { path: ['gate', 'reload'], summary: 'have the running gate read its configuration again, without losing a call', load: () => import('./gate/commands/reload.ts') },
  { path: ['gate', 'restore'], summary: 'end a freeze: the connectors of the running gate go through it again', load: () => import('./gate/commands/restore.ts') },
  { path: ['gate', 'rotate'], summary: 'rotate the credential of connectors: the old one ends when the new one is proved to be in use', load: () => import('./gate/commands/rotate.ts') },
  { path: ['gate', 'serve'], summary: 'run the gate: every call checked, recorded and kept alive', load: () => import('./gate/commands/serve.ts') },
  { path: ['gate', 'smoke'], summary: 'hand-shake and beat for every connector, check the doctrine, leave a receipt', load: () => import('./gate/commands/smoke.ts') },
  { path: ['gate', 'stdio'], summary: 'be a stdio MCP server that is the gate: for a client of this machine', load: () => import('./gate/commands/stdio.ts') },
  { path: ['operate', 'server'], summary: 'serve the machine tools to AI clients (MCP)', load: () => import('./operate/commands/server.ts') },
  { path: ['reach', 'accept-files'], summary: 'say whose files are taken', load: () => import('./reach/commands/accept-files.ts') },
  { path: ['reach', 'agent'], summary: 'keep this identity reachable: its port, its registration, its connections', load: () => import('./reach/commands/agent.ts') },
  { path: ['reach', 'backup'], summary: 'write a sealed backup of the identity', load: () => import('./reach/commands/backup.ts') },
  { path: ['reach', 'client'], summary: 'put a peer\'s server into the configuration of an MCP client', load: () => import('./reach/commands/client.ts') },
  { path: ['reach', 'doctor'], summary: 'find out why a peer cannot be reached', load: () => import('./reach/commands/doctor.ts') },
  { path: ['reach', 'history'], summary: 'show what was sent and received; verify, witness or prove the record of it', load: () => import('./reach/commands/history.ts') },
  { path: ['reach', 'inbox'], summary: 'show the messages that were received', load: () => import('./reach/commands/inbox.ts') },
  { path: ['reach', 'init'], summary: 'make an identity: a key, a peer id and a wallet file', load: () => import('./reach/commands/init.ts') },
  { path: ['reach', 'listen'], summary: 'listen for messages and show them as they come', load: () => import('./reach/commands/listen.ts') },
  { path: ['reach', 'mcp-connect'], summary: 'be a stdio MCP server whose real server is at a peer', load: () => import('./reach/commands/mcp-connect.ts') },
  { path: ['reach', 'mcp-serve'], summary: 'serve an MCP server of this machine to authorized peers', load: () => import('./reach/commands/mcp-serve.ts') },
  { path: ['reach', 'passphrase'], summary: 'add, change or remove the passphrase that seals the wallet', load: () => import('./reach/commands/passphrase.ts') },
  { path: ['reach', 'peers'], summary: 'list the peers that are registered', load: () => import('./reach/commands/peers.ts') },
  { path: ['reach', 'register'], summary: 'make this identity known at a registry', load: () => import('./reach/commands/register.ts') },
  { path: ['reach', 'registry'], summary: 'run a registry, where peers are found, and reached if there is no direct way', load: () => import('./reach/commands/registry.ts') },
  { path: ['reach', 'restore'], summary: 'put an identity back from a backup', load: () => import('./reach/commands/restore.ts') },
  { path: ['reach', 'revoke'], summary: 'end an identity for good: its key counts no more', load: () => import('./reach/commands/revoke.ts') },
  { path: ['reach', 'rotate'], summary: 'give this identity a new key, signed by the old one', load: () => import('./reach/commands/rotate.ts') },
  { path: ['reach', 'send-file'], summary: 'send a file to a peer', load: () => import('./reach/commands/send-file.ts') },
  { path: ['reach', 'send'], summary: 'send a message to a peer', load: () => import('./reach/commands/send.ts') },
  { path: ['reach', 'status'], summary: 'show who we are, where our files are, and how others reach us', load: () => import('./reach/commands/status.ts') },
  { path: ['reach', 'witness'], summary: 'be a witness for other peers: sign how far their records were seen, so that nobody can cut or alter them later', load: () => import('./reach/commands/witness.ts') },
]

export const configs = [
  { owner: 'gate', name: 'gate', load: () => import('./gate/config.ts') },
  { owner: 'operate', name: 'operate', load: () => import('./operate/config.ts') },
  { owner: 'reach', name: 'reach', load: () => import('./reach/config.ts') },
]

export const tools = [
  { owner: 'operate', name: 'process-list', load: () => import('./operate/tools/process-list.ts') },
  { owner: 'operate', name: 'system-get-basic-info', load: () => import('./operate/tools/system-get-basic-info.ts') },
  { owner: 'operate', name: 'system-get-health-snapshot', load: () => import('./operate/tools/system-get-health-snapshot.ts') },
  { owner: 'operate', name: 'system-get-network-info', load: () => import('./operate/tools/system-get-network-info.ts') },
]

export const checks = [
  { owner: 'gate', name: 'audit-writable', load: () => import('./gate/checks/audit-writable.ts') },
  { owner: 'gate', name: 'config-valid', load: () => import('./gate/checks/config-valid.ts') },
  { owner: 'gate', name: 'credential-expiry', load: () => import('./gate/checks/credential-expiry.ts') },
  { owner: 'gate', name: 'gateway', load: () => import('./gate/checks/gateway.ts') },
  { owner: 'gate', name: 'heartbeats', load: () => import('./gate/checks/heartbeats.ts') },
  { owner: 'gate', name: 'ledger-chain', load: () => import('./gate/checks/ledger-chain.ts') },
  { owner: 'gate', name: 'no-secret', load: () => import('./gate/checks/no-secret.ts') },
  { owner: 'gate', name: 'receipts', load: () => import('./gate/checks/receipts.ts') },
  { owner: 'gate', name: 'rotation-ledger', load: () => import('./gate/checks/rotation-ledger.ts') },
  { owner: 'gate', name: 'rotation-proved', load: () => import('./gate/checks/rotation-proved.ts') },
  { owner: 'gate', name: 'sessions', load: () => import('./gate/checks/sessions.ts') },
  { owner: 'gate', name: 'tools-pinned', load: () => import('./gate/checks/tools-pinned.ts') },
  { owner: 'gate', name: 'window-hours', load: () => import('./gate/checks/window-hours.ts') },
  { owner: 'reach', name: 'authorized', load: () => import('./reach/checks/authorized.ts') },
  { owner: 'reach', name: 'clock', load: () => import('./reach/checks/clock.ts') },
  { owner: 'reach', name: 'peer-answers', load: () => import('./reach/checks/peer-answers.ts') },
  { owner: 'reach', name: 'peer-in-table', load: () => import('./reach/checks/peer-in-table.ts') },
  { owner: 'reach', name: 'peer-nearby', load: () => import('./reach/checks/peer-nearby.ts') },
  { owner: 'reach', name: 'peer-registered', load: () => import('./reach/checks/peer-registered.ts') },
  { owner: 'reach', name: 'proxy', load: () => import('./reach/checks/proxy.ts') },
  { owner: 'reach', name: 'registered', load: () => import('./reach/checks/registered.ts') },
  { owner: 'reach', name: 'registry-answers', load: () => import('./reach/checks/registry-answers.ts') },
  { owner: 'reach', name: 'registry-key', load: () => import('./reach/checks/registry-key.ts') },
  { owner: 'reach', name: 'registry-protocol', load: () => import('./reach/checks/registry-protocol.ts') },
  { owner: 'reach', name: 'wallet', load: () => import('./reach/checks/wallet.ts') },
]

export const upstreams = [
  { owner: 'gate', name: 'http', load: () => import('./gate/upstreams/http.ts') },
  { owner: 'gate', name: 'peer', load: () => import('./gate/upstreams/peer.ts') },
  { owner: 'gate', name: 'socket', load: () => import('./gate/upstreams/socket.ts') },
  { owner: 'gate', name: 'sse', load: () => import('./gate/upstreams/sse.ts') },
  { owner: 'gate', name: 'stdio', load: () => import('./gate/upstreams/stdio.ts') },
]

export const clients = [
  { owner: 'reach', name: 'claude-code', load: () => import('./reach/clients/claude-code.ts') },
  { owner: 'reach', name: 'claude-desktop', load: () => import('./reach/clients/claude-desktop.ts') },
  { owner: 'reach', name: 'cursor', load: () => import('./reach/clients/cursor.ts') },
  { owner: 'reach', name: 'vscode', load: () => import('./reach/clients/vscode.ts') },
]

export const connectors = [
  { owner: 'gate', name: 'crown-handshake', load: () => import('./gate/connectors/crown-handshake.ts') },
  { owner: 'gate', name: 'operator-api', load: () => import('./gate/connectors/operator-api.ts') },
  { owner: 'gate', name: 'operator-upload', load: () => import('./gate/connectors/operator-upload.ts') },
]
