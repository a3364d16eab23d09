// What a component prints, as it prints it.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { ShownDaemon } from '../../gate/dashboard/client.ts'
import { after } from '../browser.ts'
import { callsOf } from '../calls.ts'
import { type Failure, failureOf } from '../failure.ts'
import { Dialog } from '../shown/dialog.tsx'
import { Problem } from '../shown/problem.tsx'
import type { NodeCalls } from './node.ts'

/** More are not kept on the page. */
const mostLines = 2_000
const firstLines = 300
/** Lines that come fast are shown together. */
const gatherMs = 100

type Line = { readonly at: number; readonly time: number; readonly stream: string; readonly text: string }
type Needs = { readonly node: ShownDaemon; readonly service: string; readonly component: string; readonly close: () => void }

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

export function Logs({ node, service, component, close }: Needs) {
  const [lines, setLines] = useState<readonly Line[]>([])
  const [failure, setFailure] = useState<Failure>()
  const end = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  useEffect(() => {
    const stop = new AbortController()
    let gathered: Line[] = []
    let cancel: (() => void) | undefined
    let count = 0
    const show = (): void => {
      cancel = undefined
      const more = gathered
      gathered = []
      setLines((before) => [...before, ...more].slice(-mostLines))
    }
    const onItem = ({ time, stream, text }: Omit<Line, 'at'>): void => {
      gathered.push({ at: count++, time, stream, text })
      cancel ??= after(gatherMs, show)
    }
    const calls = callsOf<NodeCalls>(node.id)
    calls['follow-logs']({ service, component, tail: firstLines, follow: true }, { signal: stop.signal, onItem }).catch(
      (error: unknown) => {
        if (!stop.signal.aborted) setFailure(failureOf(error))
      },
    )
    return () => {
      cancel?.()
      stop.abort()
    }
  }, [node.id, service, component])
  useEffect(() => {
    if (isAtEnd.current) end.current?.scrollTo({ top: end.current.scrollHeight })
  }, [lines])
  const onScroll = (event: Event): void => {
    const { scrollTop, clientHeight, scrollHeight } = event.currentTarget as HTMLElement
    isAtEnd.current = scrollTop + clientHeight > scrollHeight - 20
  }
  return (
    <Dialog title={`Logs of ${component === service ? service : `${service}/${component}`} on ${node.name}`} close={close} isWide>
      {failure && <Problem failure={failure} />}
      <div ref={end} class="log" role="log" tabIndex={0} aria-label="Log lines" onScroll={onScroll}>
        {lines.length === 0 && !failure && <p class="none">Nothing was printed yet.</p>}
        {lines.map(({ at, time, stream, text }) => (
          <p key={at} class={stream}>
            <time>{clock.format(time)}</time> {text}
          </p>
        ))}
      </div>
    </Dialog>
  )
}
