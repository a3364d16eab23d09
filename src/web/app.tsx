// The dashboard in a browser: signs in by the link that it was opened with, and shows the page that the address names.
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Signed } from '../gate/dashboard/client.ts'
import { signIn, signed } from './calls.ts'
import { type Failure, failureOf } from './failure.ts'
import { Shell } from './shell.tsx'
import { SignIn } from './sign-in.tsx'
import { applyTheme } from './theme.ts'

type State =
  | { readonly is: 'starting' }
  | { readonly is: 'signed'; readonly signed: Signed }
  | { readonly is: 'out'; readonly failure?: Failure | undefined }

/** By the code behind the `#`, which is gone from the address at once; or by the cookie of an earlier time. */
async function enter(): Promise<State> {
  const code = /^#sign-in=([\w-]+)$/.exec(location.hash)?.[1]
  if (code !== undefined) history.replaceState(null, '', '/#/overview')
  try {
    return { is: 'signed', signed: code === undefined ? await signed() : await signIn(code) }
  } catch (error) {
    const failure = failureOf(error)
    return outBy(failure)
  }
}

/** That nobody is signed in yet goes without saying. */
function outBy(failure: Failure | undefined): State {
  return { is: 'out', failure: failure?.code === 'dashboard.not_signed_in' ? undefined : failure }
}

function App() {
  const [state, set] = useState<State>({ is: 'starting' })
  useEffect(() => {
    const start = (): void => void enter().then(set)
    const onHash = (): void => {
      if (location.hash.startsWith('#sign-in=')) start() // a second link, opened in the same tab
    }
    start()
    addEventListener('hashchange', onHash)
    return () => removeEventListener('hashchange', onHash)
  }, [])
  if (state.is === 'starting') return <p class="starting">Opening…</p>
  if (state.is === 'out') return <SignIn failure={state.failure} entered={(one) => set({ is: 'signed', signed: one })} />
  return <Shell signed={state.signed} left={(failure) => set(outBy(failure))} />
}

applyTheme()
render(<App />, document.getElementById('app')!)
