import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './processes.ts'

export interface Certificate {
  cert: string
  key: string
  /** Where they are. */
  files: { cert: string; key: string }
}

/** For 127.0.0.1, signed by itself, in PEM. */
export function selfSigned(bits = 2048): Certificate {
  const folder = temporaryFolder('baton-tls')
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const how = ['req', '-x509', '-newkey', `rsa:${bits}`, '-nodes', '-days', '2', '-keyout', key, '-out', cert]
  execFileSync('openssl', [...how, ...subject], { stdio: 'ignore' })
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8'), files: { cert, key } }
}
