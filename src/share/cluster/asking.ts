// Asks those who came to a deputy whether one of them has kept an entry: it knows itself only what it asked for.
import type { Clock } from '../../kernel/clock.ts'
import type { Connected, Members } from './members.ts'

export interface Asking {
  /** Of all but one; undefined when none of them has it, or does not say so within a moment. */
  ask(but: Connected | undefined, key: string): Promise<Uint8Array | undefined>
  /** One has it, or has not. */
  answered(id: number, sealed: Uint8Array | undefined): void
}

type Question = { left: number; readonly answer: (sealed: Uint8Array | undefined) => void }

const askMs = 1_000

export function createAsking(clock: Pick<Clock, 'after'>, members: Members): Asking {
  const questions = new Map<number, Question>()
  let ids = 0
  return {
    ask(but, key) {
      const id = ++ids
      const left = members.tellAll(but, { is: 'have', id, key })
      if (left === 0) return Promise.resolve(undefined)
      return new Promise((resolve) => {
        const answer = (sealed: Uint8Array | undefined): void => {
          questions.delete(id)
          cancel()
          resolve(sealed)
        }
        const cancel = clock.after(askMs, () => answer(undefined))
        questions.set(id, { left, answer })
      })
    },
    answered(id, sealed) {
      const question = questions.get(id)
      if (!question) return
      question.left--
      if (sealed || question.left === 0) question.answer(sealed)
    },
  }
}
