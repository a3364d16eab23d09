// How something stands: a sign whose shape tells as much as its colour, and a word.

export type Standing = 'good' | 'bad' | 'unknown' | 'off'

const words: Readonly<Record<Standing, string>> = { good: 'well', bad: 'needs attention', unknown: 'unknown', off: 'off' }
const signs: Readonly<Record<Standing, string>> = { good: '●', bad: '▲', unknown: '◆', off: '○' }

export function Sign({ standing, word = words[standing] }: { readonly standing: Standing; readonly word?: string }) {
  return (
    <span class={`sign ${standing}`} role="img" aria-label={word} title={word}>
      {signs[standing]}
    </span>
  )
}

/** The sign with its word beside it. */
export function StandingTag({ standing, word = words[standing] }: { readonly standing: Standing; readonly word?: string }) {
  return (
    <span class={`standing ${standing}`}>
      <span aria-hidden="true">{signs[standing]}</span> {word}
    </span>
  )
}
