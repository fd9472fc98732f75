const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^/?#@\s]+$/i

/** An origin as browsers write it: scheme and host in lower case, no default port. Undefined where `text` is none. */
export function originOf(text: string): string | undefined {
  const url = ORIGIN.test(text) ? URL.parse(text.toLowerCase()) : null
  return url ? `${url.protocol}//${url.host}` : undefined
}
