// A strict reader of Prometheus' text exposition format 0.0.4: it throws at whatever the format does not allow.

const line =
  /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,(?=[a-zA-Z_])|(?=\})))*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/

/** Every sample by its name and labels as they stand there. Each family has its HELP, its TYPE, then its samples, once; histograms add up. */
export function readMetrics(text: string): Map<string, number> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const samples = new Map<string, number>()
  const seen = new Set<string>()
  let family = ''
  let type = ''
  for (const one of text.slice(0, -1).split('\n')) {
    const help = /^# HELP (\S+) \S/.exec(one)
    const typed = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(one)
    if (help) {
      family = help[1]!
      type = ''
      if (seen.has(family)) throw new Error(`${family} is there twice`)
      seen.add(family)
    } else if (typed) {
      if (typed[1] !== family || type !== '') throw new Error(`not here: ${one}`)
      type = typed[2]!
    } else {
      const [, name, , value] = line.exec(one) ?? []
      if (name === undefined) throw new Error(`no sample: ${one}`)
      const isOwn = type === 'histogram' ? /^_(?:bucket|sum|count)$/.test(name.slice(family.length)) : name === family
      if (type === '' || !name.startsWith(family) || !isOwn) throw new Error(`not of ${family}, a ${type}: ${one}`)
      const key = one.slice(0, one.lastIndexOf(' '))
      if (samples.has(key)) throw new Error(`twice: ${key}`)
      if (type !== 'gauge' && !(Number(value) >= 0)) throw new Error(`a count below nothing: ${one}`)
      samples.set(key, Number(value))
    }
  }
  checkBuckets(samples)
  return samples
}

function checkBuckets(samples: ReadonlyMap<string, number>): void {
  const last = new Map<string, number>()
  for (const [key, value] of samples) {
    if (!key.includes('_bucket{')) continue
    const labels = key.replace(/,?le="([^"]*)"/, '').replace('{}', '')
    if (value < (last.get(labels) ?? 0)) throw new Error(`fewer than in the bucket below: ${key}`)
    last.set(labels, value)
    if (key.includes('le="+Inf"') && samples.get(labels.replace('_bucket', '_count')) !== value) throw new Error(`not its count: ${key}`)
  }
}
