// What a node tells, and how a component of a service stands.
import type { NodeClient } from '../../run/client.ts'
import type { Standing } from '../shown/standing.tsx'

export type NodeCalls = NodeClient['calls']
export type NodeStatus = Awaited<ReturnType<NodeCalls['status']>>
export type Service = NodeStatus['services'][number]
export type Component = Service['components'][number]
export type NodeEvent = NodeStatus['events'][number]

/** What is stopped on purpose is off; what drifts, is ill or keeps failing is bad. */
export function standingOf({ active }: Service, { drifts, health, isFlapping }: Component): Standing {
  if (drifts.length > 0 || isFlapping || health === 'unhealthy' || health === 'sealed') return 'bad'
  if (!active) return 'off'
  return health === 'starting' ? 'unknown' : 'good'
}

/** `registry/name:v1` → `name:v1`. */
export function imageText(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1)
}
