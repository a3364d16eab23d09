// What somebody sees who is not signed in: how to get in.
import { useState } from 'preact/hooks'
import type { Signed } from '../gate/dashboard/client.ts'
import { signInWith } from './calls.ts'
import { type Failure, failureOf } from './failure.ts'
import { Mark } from './shown/mark.tsx'
import { Problem } from './shown/problem.tsx'

export function SignIn({ failure, entered }: { readonly failure?: Failure | undefined; readonly entered: (signed: Signed) => void }) {
  const [token, setToken] = useState('')
  const [refused, setRefused] = useState<Failure | undefined>(failure)
  const submit = (event: Event): void => {
    event.preventDefault()
    signInWith(token.trim()).then(entered, (error: unknown) => setRefused(failureOf(error)))
  }
  return (
    <main class="door">
      <h1>
        <Mark /> Fairlead
      </h1>
      {refused && <Problem failure={refused} />}
      <p>Open the link that this command prints on the machine. It is good once, for ten minutes.</p>
      <pre>
        <code>fairlead gate sign-in</code>
      </pre>
      <form onSubmit={submit}>
        <label for="token">Or sign in with your token for the gate</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <button type="submit" class="main">
          Sign in
        </button>
      </form>
    </main>
  )
}
