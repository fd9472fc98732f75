/** A sample of a server's /metrics whose line begins so; 0: there is none. */
export async function metric({ url }: { url: string }, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const line = text.split('\n').find(candidate => candidate.startsWith(name))
  return Number(line?.split(' ').at(-1) ?? 0)
}

/** How often it has refused something with this code. */
export const refusals = (server: { url: string }, code: string): Promise<number> =>
  metric(server, `baton_refusals_total{code="${code}"}`)
