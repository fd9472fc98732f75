// Frames as a client reads them; shares no code with src.

export interface ReadFrame {
  command: string
  /** As on the wire. */
  headers: Record<string, string>
  body: Buffer
}

/** The whole frames of what came; EOLs between them are passed over. @throws where the bytes are no frames. */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = []
  for (let at = 0; ; ) {
    while (bytes[at] === 10) at++
    const blank = bytes.indexOf('\n\n', at)
    if (blank < 0) return frames
    const [command = '', ...lines] = bytes.toString('utf8', at, blank).split('\n')
    const headers: Record<string, string> = Object.create(null)
    for (const line of lines) {
      const colon = line.indexOf(':')
      if (colon < 1) throw new Error(`${command} has the header line ${JSON.stringify(line)}`)
      headers[line.slice(0, colon)] ??= line.slice(colon + 1)
    }
    if (!/^[A-Z]+$/.test(command)) throw new Error(`${JSON.stringify(command)} is no command`)
    const start = blank + 2
    const end = start + Number(headers['content-length'] ?? bytes.indexOf(0, start) - start)
    if (end < start || end >= bytes.length) return frames
    if (bytes[end] !== 0) throw new Error(`no NUL after the body of ${command}`)
    frames.push({ command, headers, body: bytes.subarray(start, end) })
    at = end + 1
  }
}
