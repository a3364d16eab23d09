// What a test must undo, last first: after the test, or for what several tests share after all of them.
import { afterEach } from 'vitest'

const cleanups: (() => unknown)[] = []
let kept = 0
afterEach(() => undo(kept))

async function undo(from: number): Promise<void> {
  for (const clean of cleanups.splice(from).reverse()) await clean()
}

/** Runs after the test. */
export function later(clean: () => unknown): void {
  cleanups.push(clean)
}

/** What is there now stays until `cleanUp`. */
export function keep(): void {
  kept = cleanups.length
}

export async function cleanUp(): Promise<void> {
  await undo(0)
}
