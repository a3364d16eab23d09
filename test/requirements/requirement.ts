// One thing that a runbook tells a person to do, or promises.
export type Requirement = {
  /** What a step of docs/runbooks/ says it proves. */
  readonly id: string
  /** In the runbook, from 1. */
  readonly line: number
  /** Stands on that line, letter by letter. */
  readonly quote: string
  /** What has to be seen. */
  readonly holds: string
}

export function requirement(line: number, id: string, quote: string, holds: string): Requirement {
  return { id, line, quote, holds }
}
