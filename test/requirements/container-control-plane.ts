// What the runbook container-control-plane asks for, promise by promise.
import type { Requirement } from './requirement.ts'

export const containerControlPlane: readonly Requirement[] = []
