// What a process of Node holds on its heap, asked from outside through its inspector: it collects its garbage first.
import { once } from 'node:events'

/** Megabytes of live objects, and of the memory of buffers that they hold, after a collection. */
export interface Heap {
  usedMb(): Promise<number>
  close(): void
}

/** Connects to the inspector of a process that was started with `--inspect=127.0.0.1:0`; `log` is what it wrote to stderr, where it says its address. */
export async function heapOf(log: string): Promise<Heap> {
  const url = /Debugger listening on (ws:\S+)/.exec(log)?.[1]
  if (url === undefined) throw new Error(`it has no inspector: ${log}`)
  const socket = new WebSocket(url)
  await once(socket, 'open')
  let lastId = 0
  const ask = async (method: string): Promise<Record<string, number>> => {
    const id = ++lastId
    const answered = new Promise<Record<string, number>>((resolve) => {
      const hear = ({ data }: MessageEvent): void => {
        const answer = JSON.parse(String(data)) as { id?: number; result: Record<string, number> }
        if (answer.id !== id) return
        socket.removeEventListener('message', hear)
        resolve(answer.result)
      }
      socket.addEventListener('message', hear)
    })
    socket.send(JSON.stringify({ id, method }))
    return answered
  }
  return {
    async usedMb() {
      for (const _ of [1, 2]) await ask('HeapProfiler.collectGarbage') // what the first one finalizes, the second one frees
      const { usedSize, backingStorageSize = 0 } = await ask('Runtime.getHeapUsage')
      return (usedSize! + backingStorageSize) / (1 << 20)
    },
    close: () => socket.close(),
  }
}
