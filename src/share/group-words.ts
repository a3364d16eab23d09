// What a person is told about the group, in the runbook's words.
import type { Terminal } from '../base/terminal/terminal.ts'
import { NoMember } from './cluster/proof.ts'

export const beginningText = '🚀 Initializing P2P cache for runner communication...'
export const begunText = '✓ P2P cache initialized'
export const noPeersText =
  '⚠️  No bootstrap peers configured (set MCP_P2P_BOOTSTRAP_PEERS secret)\n   Runners will not connect to MCP server for P2P cache sharing'

export const configuredText = (addresses: readonly string[]): string => `✓ P2P bootstrap peers configured: ${addresses.join(',')}`
export const listeningText = (port: number): string => `P2P host started, listening on port ${port}`
export const connectingText = (count: number): string => `Connecting to ${count} bootstrap peer(s)...`
export const peerText = (peerId: string): string => `Peer ID: ${peerId}`
export const metText = (peerId: string): string => `✓ Connected to peer: ${peerId}`

/** How joining ended; without a problem it went well. */
export function noteJoined({ note }: Pick<Terminal, 'note'>, problem: Error | undefined): void {
  if (!problem) {
    note('✓ Connected to bootstrap peer')
    return note(begunText)
  }
  if (problem instanceof NoMember)
    return note(
      `The bootstrap peer refused us: ${problem.message}; is CACHE_P2P_SHARED_SECRET the same, and IPFS_ACCELERATE_GITHUB_REPO? "fairlead share doctor" looks`,
    )
  note(`Timeout connecting to bootstrap peer (${problem.message}); "fairlead share doctor" looks why. Going on alone, and trying again`)
}

/** The port in a multiaddr. */
export function portOf(address: string | undefined): string | undefined {
  return /\/tcp\/(\d+)(?:\/|$)/.exec(address ?? '')?.[1]
}
