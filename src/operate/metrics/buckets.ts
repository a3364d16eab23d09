// Which widths buckets may have: such that one answer never has to look at more than it can do at once.
import { rollupWidths } from './samples.ts'

/** A width that `bucketsOf` answers from whole roll-ups, or from few samples. In seconds. */
export type BucketWidth = number & { readonly isBucketWidth: unique symbol }

const [hour, fiveMinutes] = rollupWidths
const usual = [60, 120, fiveMinutes, 900, 1_800, hour, 7_200, 21_600, 43_200, 86_400, 604_800, 2_592_000, 31_536_000] as const
const about = 60

/** Undefined for a width that would need too many rows: above five minutes it must be made of roll-ups, above an hour of those of an hour. */
export function asWidth(seconds: number): BucketWidth | undefined {
  const isFit = seconds <= fiveMinutes || (seconds <= hour ? seconds % fiveMinutes === 0 : seconds % hour === 0)
  return isFit ? (seconds as BucketWidth) : undefined
}

/** The narrowest usual width that gives about 60 buckets, or fewer. */
export function widthFor(rangeSeconds: number): BucketWidth {
  return (usual.find((width) => rangeSeconds / width <= about) ?? usual.at(-1)!) as BucketWidth
}
