// Gets what was put before through the library, in a process of its own: `library-gets.mjs LIBRARY COUNT` prints the time of each get, in ms.
const [library, count] = process.argv.slice(2)
const { getGlobalCache } = await import(library)
const cache = getGlobalCache()
await cache.put('name', { answer: 'x'.repeat(1_000) })
const tookMs = []
for (let n = 0; n < Number(count); n++) {
  const from = performance.now()
  const { answer } = await cache.get('name')
  tookMs.push(performance.now() - from)
  if (answer.length !== 1_000) throw new Error('it gave something else')
}
process.stdout.write(`${JSON.stringify(tookMs)}\n`)
await cache.shutdown()
