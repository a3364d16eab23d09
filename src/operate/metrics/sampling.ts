// What the tools of sampling answer: whether it goes on, and how well.
import type { Metrics } from './metrics.ts'

export type SamplingAnswer = {
  isSampling: boolean
  intervalSeconds?: number
  lastSampleAt?: string
  samplesTaken: number
  samplesMissed: number
  database: string
  sizeBytes?: number
  setAside?: string
  problem?: string
}

export function samplingAnswer({ path, state }: Pick<Metrics, 'path' | 'state'>): SamplingAnswer {
  const { intervalSeconds, lastSampleMs, taken, missed, sizeBytes, setAside, problem } = state
  return {
    isSampling: intervalSeconds !== undefined,
    ...(intervalSeconds === undefined ? {} : { intervalSeconds }),
    ...(lastSampleMs === undefined ? {} : { lastSampleAt: new Date(lastSampleMs).toISOString() }),
    samplesTaken: taken,
    samplesMissed: missed,
    database: path,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(setAside === undefined ? {} : { setAside }),
    ...(problem === undefined ? {} : { problem: problem.message }),
  }
}
