// What the page asks of the gateway over HTTP, and how it fills destination templates.

/** Values as a route encodes them: percent-encoded where a character has a meaning of its own. */
export function expand(template, values) {
  const encode = value =>
    value.replace(/[/:{}%\p{Cc}]/gu, letter =>
      [...new TextEncoder().encode(letter)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
    )
  return template.replace(/\{\+?([^{}]+)\}/g, (_, name) => encode(values[name] ?? ''))
}

/** Headers for HTTP: a JWT as a bearer token, anything else as a passcode. */
function authorization({ name, token }) {
  if (!token) return {}
  if (token.split('.').length === 3) return { authorization: `Bearer ${token}` }
  return { authorization: `Basic ${btoa(String.fromCodePoint(...new TextEncoder().encode(`${name}:${token}`)))}` }
}

/** @throws an Error with the problem's detail. */
export async function ask(path, me = {}) {
  const response = await fetch(path, { headers: authorization(me) })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.detail ?? response.statusText)
  return answer
}
