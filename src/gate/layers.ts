// The layers that every exchange with an upstream passes, from the outside in: it is counted, does the gate take calls, whose trace is it, may they, is it the tool that was accepted, how often,
// has a person said yes, was what it comes back with handed to this principal, and it is written down.
import { matcher } from '../base/access/pattern.ts'
import type { Policy } from '../base/access/policy.ts'
import type { Layer } from '../base/mcp/exchange.ts'
import type { Log } from '../kernel/log.ts'
import { approvalLayer } from './approval/layer.ts'
import type { Approvals } from './approval/approvals.ts'
import type { Drain } from './drain.ts'
import { grantLayer } from './grants.ts'
import { type Handles, handleLayer } from './handles.ts'
import { limitLayer } from './limit/layer.ts'
import type { Limits } from './limit/limits.ts'
import type { GateMetrics } from './metrics.ts'
import { permitLayer } from './permit.ts'
import { pinLayer } from './pin/layer.ts'
import type { Pins } from './pin/pins.ts'
import { type RecordNeeds, recordLayer, recordRefusal, recordStep } from './record.ts'
import { carryLayer, traceLayer } from './tracing.ts'
import type { Served } from './upstream.ts'

/** What the layers of all upstreams share. */
export type LayersNeeds = Omit<RecordNeeds, 'upstream'> & {
  readonly log: Log
  readonly drain: Drain
  readonly policy: Policy
  readonly pins: Pins
  readonly limits: Limits
  readonly approvals: Approvals
  readonly handles: Handles
  readonly mayAskClient: boolean
  readonly metrics: GateMetrics
  /** Every request is traced, not only those that come with a trace. */
  readonly beginsTraces: boolean
}

export function layersOf(
  needs: LayersNeeds,
  upstream: Served,
): { readonly layers: readonly Layer[]; readonly listChanged: (session: string) => void } {
  const { ledger, secret, clock, log, drain, policy, pins, limits, approvals, handles, mayAskClient, metrics, beginsTraces } = needs
  const { name } = upstream
  const record: RecordNeeds = { ledger, secret, clock, upstream: name }
  const refused: Parameters<typeof limitLayer>[0]['refused'] = (exchange, reason) => recordRefusal(record, exchange, reason)
  const pin = pinLayer({ pins: pins.of(name), upstream: name, server: () => upstream.transport, clock, refused })
  const isMarkedHere = (tool: string): boolean => matcher(upstream.settings.approve ?? [])(tool) // as they are now
  const approval = approvalLayer({
    approvals,
    upstream: name,
    log,
    mayAskClient,
    isMarked: (principal, tool) => isMarkedHere(tool) || policy.permit(principal, name).needsApproval(tool),
    record: (event, exchange, more) => recordStep(record, event, exchange, more),
    refused,
  })
  const layers = [
    metrics.layer(name),
    drain.layer,
    traceLayer(beginsTraces),
    permitLayer({ policy, upstream: name, refused: (exchange, { reason }) => refused(exchange, reason) }),
    pin.layer,
    limitLayer({ limits, upstream: name, refused }),
    approval,
    handleLayer({ handles, upstream: name, refused }),
    recordLayer(record),
    carryLayer,
    grantLayer(clock, () => upstream.settings.grants),
  ]
  return { layers, listChanged: pin.listChanged }
}
