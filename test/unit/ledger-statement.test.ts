import { expect, test } from '@jest/globals'
import { csvLine } from '../../src/queries/ledger.ts'
import { ledgerEntry } from '../../src/http/openapi/examples.ts'

const cellsOf = (line: string): readonly string[] => line.replace(/\r\n$/, '').split(',')

test('a line has a cell for each column, in their order, and ends like RFC 4180 says', () => {
  const line = csvLine(ledgerEntry)
  expect(line.endsWith('\r\n')).toBe(true)
  const cells = cellsOf(line)
  expect(cells).toHaveLength(32)
  expect(cells.slice(0, 2)).toEqual(['5', ledgerEntry.tx_id])
  expect(cells.at(-1)).toBe(ledgerEntry.hash)
  expect(cells[21]).toBe('')
})

test.each([
  ['=1+1', `'=1+1`],
  ['+49 30', `'+49 30`],
  ['-5', `'-5`],
  ['@SUM(A1)', `'@SUM(A1)`],
  ['\tx', `'\tx`],
  ['\n=1+1', `"'\n=1+1"`],
  ['＝1+1', `'＝1+1`],
  ['a "b", c', '"a ""b"", c"'],
  ['=HYPERLINK("x";"y")', `"'=HYPERLINK(""x"";""y"")"`],
  ['two\r\nlines', '"two\r\nlines"'],
  ['grüße 🎉', 'grüße 🎉'],
])('text of a customer is no formula and stays in its cell: %j', (text, cell) => {
  expect(csvLine({ ...ledgerEntry, user_id: text })).toContain(`,${cell},customer_credit,`)
})

test('numbers stay numbers, debts too', () => {
  expect(csvLine({ ...ledgerEntry, balance_after_micro: '-5' })).toContain(',CREDIT,-5,0,')
})
