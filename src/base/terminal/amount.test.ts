// Proves the words that people read numbers in, at the edges between units.
import { expect, test } from 'vitest'
import { durationText, percentText, sizeText } from './amount.ts'

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_024, '1.00 KiB'],
  [1_048_575, '1.00 MiB'],
  [25_276_502_016, '23.5 GiB'],
  [270_553_174_016, '252 GiB'],
  [9.996 * 2 ** 30, '10.0 GiB'],
  [99.96 * 2 ** 30, '100 GiB'],
  [2 ** 60, '1024 PiB'],
])('%d bytes are %s', (sizeBytes, text) => {
  expect(sizeText(sizeBytes)).toBe(text)
})

test.each([
  [0, '0 s'],
  [0.9, '0 s'],
  [59.9, '59 s'],
  [60, '1 min'],
  [125, '2 min 5 s'],
  [3_600, '1 h'],
  [3_659, '1 h'],
  [93_784, '1 d 2 h'],
  [86_400 * 400, '400 d'],
])('%d seconds are %s', (seconds, text) => {
  expect(durationText(seconds)).toBe(text)
})

test.each([
  [0, '0 %'],
  [4.25, '4.3 %'],
  [9.96, '10 %'],
  [96.1, '96 %'],
  [100, '100 %'],
])('%d percent is %s', (percent, text) => {
  expect(percentText(percent)).toBe(text)
})
