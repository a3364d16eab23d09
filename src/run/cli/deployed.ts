// What became of a deployment, as a person reads it.
import { visibleText } from '../../base/terminal/visible.ts'
import type { NodeClient } from '../client.ts'
import { digestText, simulatedText, versionText } from './shown.ts'

type Deployed = Awaited<ReturnType<NodeClient['calls']['deploy']>>

const words = { unchanged: 'ok, as it was', deployed: 'ok', 'rolled-back': 'went back', failed: 'failed' } as const

/** One line for each component; for one that is not well its reason and its last lines. */
export function deployedText(node: string, { components, isSimulated }: Deployed): string {
  const lines = components.flatMap(({ component, outcome, image, reason, lastLines }) => [
    `  ${component}: ${words[outcome]}: ${visibleText(versionText(image.reference))} (${digestText(image.digest)})${reason === null ? '' : `: ${visibleText(reason)}`}`,
    ...(outcome === 'deployed' || outcome === 'unchanged' ? [] : lastLines.map((line) => `    | ${visibleText(line)}`)),
  ])
  return [`${node}${simulatedText(isSimulated)}:`, ...lines].join('\n')
}

export function deployedCode({ components }: Deployed): number {
  return components.some(({ outcome }) => outcome === 'failed' || outcome === 'rolled-back') ? 1 : 0
}
