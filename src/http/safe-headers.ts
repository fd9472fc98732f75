/**
 * Of every answer, as a browser that is made to show one must take it: as what it says it is, in no frame, and with no script
 * that runs. What a service replied may be anything, and comes from this origin.
 */
export const SAFE_HEADERS = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY'
}

/** Over TLS also: for a year, whatever this host name serves is asked for over TLS only. */
export const SAFE_TLS_HEADERS = { ...SAFE_HEADERS, 'strict-transport-security': 'max-age=31536000' }
