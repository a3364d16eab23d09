// What the pages take of the browser besides the document: the time, timers, and what a person chose the last time.

export function nowMs(): number {
  return Date.now()
}

/** Returns what cancels it. */
export function after(delayMs: number, act: () => void): () => void {
  const timer = setTimeout(act, delayMs)
  return () => clearTimeout(timer)
}

/** Undefined where nothing was chosen, or the browser keeps nothing. */
export function remembered(key: string): string | undefined {
  try {
    return localStorage.getItem(`fairlead.${key}`) ?? undefined
  } catch {
    return undefined
  }
}

export function remember(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(`fairlead.${key}`)
    else localStorage.setItem(`fairlead.${key}`, value)
  } catch {
    // then it is chosen again the next time
  }
}
