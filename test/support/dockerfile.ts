export interface Instruction {
  name: string
  /** What follows the name, continuation lines joined. */
  text: string
}

/** The instructions of each stage of a Dockerfile, which begins with its FROM. */
export function parseDockerfile(text: string): Instruction[][] {
  const lines = text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
  const stages: Instruction[][] = []
  for (const line of lines) {
    const [, name, rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? []
    if (name === undefined) {
      if (line.trim() !== '') throw new Error(`no instruction: ${line}`)
    } else if (name === 'FROM') stages.push([{ name, text: rest }])
    else if (stages.at(-1)?.push({ name, text: rest }) === undefined) throw new Error(`${name} before FROM`)
  }
  return stages
}
