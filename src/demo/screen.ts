import { styleText } from 'node:util'

const barWidth = 32
const eraseLine = '\r\u001b[2K'

type Style = Parameters<typeof styleText>[0]

/** A terminal, or a plain file of lines when the output is not one. */
export interface Screen {
  /** Prints a line above the bar. */
  readonly line: (text?: string) => void
  /** Shows the live bar; in plain mode a line for every tenth. */
  readonly bar: (percent: number, label: string) => void
  readonly clearBar: () => void
  readonly paint: (style: Style, text: string) => string
}

/** The screen for a stream: `NO_COLOR` and `FORCE_COLOR` are heeded by `hasColors`. */
export function openScreen(stream: NodeJS.WriteStream): Screen {
  const isTerminal = stream.isTTY
  const isColoured = isTerminal && stream.hasColors()
  const paint = (style: Style, text: string) =>
    isColoured ? styleText(style, text, { validateStream: false }) : text
  let shown = ''
  let toldTenth = -1
  const draw = (text: string) => {
    shown = text
    stream.write(eraseLine + text)
  }
  return {
    paint,
    line: (text = '') => {
      if (!isTerminal) stream.write(`${text}\n`)
      else stream.write(`${eraseLine}${text}\n${shown}`)
    },
    bar: (percent, label) => {
      if (isTerminal) {
        const filled = Math.round((percent / 100) * barWidth)
        const water = paint('cyan', '█'.repeat(filled))
        const rest = paint('gray', '░'.repeat(barWidth - filled))
        const figure = paint('bold', `${percent}%`.padStart(4))
        return draw(`  ${water}${rest} ${figure}  ${label}`)
      }
      const tenth = Math.floor(percent / 10)
      if (tenth <= toldTenth) return
      toldTenth = tenth
      stream.write(`  ${percent}% ${label}\n`)
    },
    clearBar: () => {
      if (isTerminal) draw('')
    },
  }
}
