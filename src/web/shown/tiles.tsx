// The few numbers that a page is about.
import type { ComponentChild } from 'preact'

export type Tile = { readonly name: string; readonly value: ComponentChild; readonly note?: ComponentChild }

export function Tiles({ tiles }: { readonly tiles: readonly Tile[] }) {
  return (
    <dl class="tiles">
      {tiles.map(({ name, value, note }) => (
        <div key={name} class="tile">
          <dt>{name}</dt>
          <dd>
            <strong>{value}</strong>
            {note !== undefined && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  )
}
