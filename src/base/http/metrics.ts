// Counts and times as Prometheus reads them: its text exposition format, version 0.0.4.

/** What `/metrics` is answered with. */
export const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

/** Their names are ours, never from outside; their values may be anything. */
export type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number]

/** How often something took how long: counts below fixed bounds, given in rising order and in the unit of what is observed. */
export class Histogram {
  readonly bounds: readonly number[]
  /** One more than there are bounds: the last counts what is above all of them. */
  readonly counts: number[]
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    let at = 0
    while (at < this.bounds.length && value > this.bounds[at]!) at++
    this.counts[at]!++
    this.sum += value
  }
}

/** Collects families of samples, each family once, and gives the text of them all. */
export class Exposition {
  #text = ''

  counter(name: string, help: string, samples: Iterable<Sample>): void {
    this.#family('counter', name, help)
    for (const [labels, value] of samples) this.#sample(name, labels, value)
  }

  gauge(name: string, help: string, samples: Iterable<Sample>): void {
    this.#family('gauge', name, help)
    for (const [labels, value] of samples) this.#sample(name, labels, value)
  }

  histogram(name: string, help: string, all: Iterable<readonly [labels: Labels, histogram: Histogram]>): void {
    this.#family('histogram', name, help)
    for (const [labels, { bounds, counts, sum }] of all) {
      let below = 0
      for (const [at, count] of counts.entries()) {
        below += count
        this.#sample(`${name}_bucket`, { ...labels, le: at < bounds.length ? String(bounds[at]) : '+Inf' }, below)
      }
      this.#sample(`${name}_sum`, labels, sum)
      this.#sample(`${name}_count`, labels, below)
    }
  }

  get text(): string {
    return this.#text
  }

  #family(type: string, name: string, help: string): void {
    this.#text += `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n`
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text.toWellFormed().replace(/[\\\n"]/g, escaped)}"`)
    this.#text += `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
  }
}

function escaped(char: string): string {
  return char === '\n' ? String.raw`\n` : `\\${char}`
}
