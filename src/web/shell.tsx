// The frame of every page: navigation, who is signed in, and whether what is shown is fresh.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { ShownDaemon, Signed } from '../gate/dashboard/client.ts'
import { after } from './browser.ts'
import { listDaemons, signOut } from './calls.ts'
import { type Failure, failureOf } from './failure.ts'
import { Live, LiveContext } from './live.ts'
import { pages } from './pages.ts'
import { Mark } from './shown/mark.tsx'
import { applyTheme, currentTheme, themes } from './theme.ts'

const daemonsEveryMs = 5_000

function wordsOf(hash: string): readonly string[] {
  return hash.replace(/^#\/?/, '').split('/').map(decoded)
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word)
  } catch {
    return word
  }
}

export function Shell({ signed, left }: { readonly signed: Signed; readonly left: (failure?: Failure) => void }) {
  const [words, setWords] = useState(wordsOf(location.hash))
  const [daemons, setDaemons] = useState<readonly ShownDaemon[]>([])
  const [isConnected, setConnected] = useState(true)
  const live = useMemo(() => new Live(setConnected), [])
  const heading = useRef<HTMLHeadingElement>(null)
  const [name, ...rest] = words
  const page = pages.find(({ id }) => id === name) ?? pages[0]!
  useEffect(() => {
    const onHash = (): void => setWords(wordsOf(location.hash))
    addEventListener('hashchange', onHash)
    return () => {
      removeEventListener('hashchange', onHash)
      live.close()
    }
  }, [])
  useEffect(() => {
    let cancel = (): void => {}
    const look = (): void => {
      listDaemons()
        .then((found) => {
          setConnected(true)
          setDaemons((before) => (JSON.stringify(before) === JSON.stringify(found) ? before : found))
        })
        .catch((error: unknown) => {
          const failure = failureOf(error)
          if (failure.isSignedOut) left(failure)
          else setConnected(false)
        })
        .finally(() => (cancel = after(daemonsEveryMs, look)))
    }
    look()
    return () => cancel()
  }, [])
  useEffect(() => {
    document.title = `${page.title} · Fairlead`
    heading.current?.focus({ preventScroll: true })
  }, [page.id])
  return (
    <LiveContext.Provider value={live}>
      <a class="skip" href="#content" onClick={(event) => (event.preventDefault(), heading.current?.focus())}>
        Skip to the content
      </a>
      <div class="frame">
        <header class="side">
          <a class="brand" href="#/overview">
            <Mark /> <span>Fairlead</span>
          </a>
          <nav aria-label="Pages">
            {pages.map(({ id, title, icon }) => (
              <a key={id} href={`#/${id}`} aria-current={id === page.id ? 'page' : undefined}>
                <svg viewBox="0 0 24 24" aria-hidden="true">
                  <path d={icon} />
                </svg>
                <span>{title}</span>
              </a>
            ))}
          </nav>
          <Foot signed={signed} left={left} />
        </header>
        <main id="content">
          {!isConnected && (
            <p class="banner" role="status">
              The gate does not answer: what is shown may be old. Trying again…
            </p>
          )}
          <h1 ref={heading} tabIndex={-1}>
            {page.title}
          </h1>
          <page.View key={page.id} signed={signed} daemons={daemons} rest={rest} />
        </main>
      </div>
    </LiveContext.Provider>
  )
}

function Foot({ signed: { person, level, version }, left }: { readonly signed: Signed; readonly left: () => void }) {
  const [theme, setTheme] = useState(currentTheme())
  return (
    <footer>
      <label>
        <span class="visually-hidden">Colours</span>
        <select
          value={theme}
          onChange={(event) => {
            const chosen = themes.find((one) => one === event.currentTarget.value) ?? 'system'
            applyTheme(chosen)
            setTheme(chosen)
          }}
        >
          <option value="system">As the system</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
      <p>
        <strong>{person}</strong> {level === 'observe' && <span class="tag">may look</span>}
        <br />
        <small>Fairlead {version}</small>
      </p>
      <button type="button" class="plain" onClick={() => void signOut().finally(left)}>
        Sign out
      </button>
    </footer>
  )
}
