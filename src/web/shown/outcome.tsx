// How a call ended: a sign, and the word that the record has.
import { Sign, type Standing } from './standing.tsx'

const words: Readonly<Record<string, string>> = {
  tool_error: 'tool error',
  notSent: 'not sent',
  unknown: 'fate unknown',
}
const standings: Readonly<Record<string, Standing>> = { ok: 'good', open: 'off', cancelled: 'off', accepted: 'off', detached: 'off' }

export function outcomeStanding(outcome: string): Standing {
  return Object.hasOwn(standings, outcome) ? standings[outcome]! : 'bad'
}

export function Outcome({ outcome }: { readonly outcome: string }) {
  const word = words[outcome] ?? outcome
  return (
    <span class="outcome">
      <Sign standing={outcomeStanding(outcome)} word={word} /> <span aria-hidden="true">{word}</span>
    </span>
  )
}
